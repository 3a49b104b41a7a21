'use strict';
// The test dialogue with yana (no TLS: run it behind `amiwall connect`).
const assert = require('assert');
const AMI = require('yana');

const { AMI_HOST, AMI_PORT, AMI_USER, AMI_SECRET, AMI_FORBIDDEN } = process.env;

function fail(error) {
  console.error(`yana: ${error && error.message ? error.message : JSON.stringify(error)}`);
  process.exit(1);
}

async function main() {
  const ami = new AMI({ host: AMI_HOST, port: Number(AMI_PORT), login: AMI_USER, password: AMI_SECRET });
  ami.on('error', (message) => fail(new Error(message)));
  // The callback of an action sees every packet with its ActionID; the first is the answer.
  const action = (request) => new Promise((resolve) => { ami.send(request, resolve); });
  const event = (name) => new Promise((resolve) => { ami.once(name, resolve); });

  await new Promise((resolve) => { ami.connect(resolve); });
  assert.match(ami.version, /^\d+\.\d+/);
  assert.strictEqual((await action({ Action: 'Ping' })).Ping, 'Pong');

  const listed = event('QueueSummaryComplete');
  assert.strictEqual((await action({ Action: 'QueueSummary' })).EventList, 'start');
  await listed;

  const seen = Promise.all(['Newchannel', 'OriginateResponse', 'Hangup'].map(event));
  const call = await action({
    Action: 'Originate', Channel: 'Local/1000@test', Context: 'click-to-dial', Exten: '2125551234', Priority: '1',
    Async: 'true', Variable: ['campaign_id=7'],
  });
  assert.strictEqual(call.Response, 'Success', JSON.stringify(call));
  await seen;

  const refused = await action({ Action: AMI_FORBIDDEN, Family: 'clients', Key: 'k', Val: 'v' });
  assert.strictEqual(refused.Response, 'Error', JSON.stringify(refused));
  assert.strictEqual(refused.Message, 'Permission denied');

  // Its disconnect() is a Logoff and waits for the answer.
  const closed = new Promise((resolve) => { ami.socket.once('close', resolve); });
  await new Promise((resolve) => { ami.disconnect(resolve); });
  await closed;
}

setTimeout(() => fail(new Error('it took longer than 45 s')), 45000).unref();
main().then(() => process.exit(0), fail);
