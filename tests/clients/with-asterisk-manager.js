'use strict';
// The test dialogue with asterisk-manager (no TLS: run it behind `amiwall connect`).
const assert = require('assert');
const Manager = require('asterisk-manager');

const { AMI_HOST, AMI_PORT, AMI_USER, AMI_SECRET, AMI_FORBIDDEN } = process.env;

function fail(error) {
  console.error(`asterisk-manager: ${error && error.message ? error.message : JSON.stringify(error)}`);
  process.exit(1);
}

async function main() {
  const ami = new Manager(null, AMI_HOST, AMI_USER, AMI_SECRET, true);
  ami.options.port = AMI_PORT;
  const action = (request) => new Promise((resolve) => {
    ami.action(request, (error, answer) => resolve(answer || error));
  });
  const event = (name) => new Promise((resolve) => ami.once(name, resolve));

  await new Promise((resolve, reject) => {
    ami.on('error', reject);
    ami.connect(AMI_PORT, AMI_HOST, () => ami.login((error) => (error ? reject(error) : resolve())));
  });
  assert.strictEqual((await action({ action: 'ping' })).ping, 'Pong');

  const listed = event('queuesummarycomplete');
  assert.strictEqual((await action({ action: 'queuesummary' })).eventlist, 'start');
  await listed;

  const seen = Promise.all(['newchannel', 'originateresponse', 'hangup'].map(event));
  const call = await action({
    action: 'originate', channel: 'Local/1000@test', context: 'click-to-dial', exten: '2125551234', priority: 1,
    async: true, variable: { campaign_id: '7' },
  });
  assert.strictEqual(call.response, 'Success', JSON.stringify(call));
  await seen;

  const refused = await new Promise((resolve) => {
    // What was refused is an error here: the callback's first argument.
    ami.action({ action: AMI_FORBIDDEN, family: 'clients', key: 'k', val: 'v' }, (error) => resolve(error || {}));
  });
  assert.strictEqual(refused.response, 'Error', JSON.stringify(refused));
  assert.strictEqual(refused.message, 'Permission denied');

  const closed = event('close');
  assert.strictEqual((await action({ action: 'logoff' })).response, 'Goodbye');
  await closed;
}

setTimeout(() => fail(new Error('it took longer than 45 s')), 45000).unref();
main().then(() => process.exit(0), fail);
