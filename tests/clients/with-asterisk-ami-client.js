'use strict';
// The test dialogue with asterisk-ami-client (no TLS: run it behind `amiwall connect`).
const assert = require('assert');
const AmiClient = require('asterisk-ami-client');

const { AMI_HOST, AMI_PORT, AMI_USER, AMI_SECRET, AMI_FORBIDDEN } = process.env;

function fail(error) {
  console.error(`asterisk-ami-client: ${error && error.message ? error.message : JSON.stringify(error)}`);
  process.exit(1);
}

async function main() {
  const ami = new AmiClient({ reconnect: false, keepAlive: false, emitEventsByTypes: true, emitResponsesById: true });
  let count = 0;
  const action = (request) => new Promise((resolve) => {
    const id = `client-${count += 1}`;
    ami.once(`resp_${id}`, resolve);
    ami.action(Object.assign({ ActionID: id }, request));
  });
  const event = (name) => new Promise((resolve) => ami.once(name, resolve));

  await ami.connect(AMI_USER, AMI_SECRET, { host: AMI_HOST, port: Number(AMI_PORT) });
  assert.strictEqual((await action({ Action: 'Ping' })).Ping, 'Pong');

  const listed = event('QueueSummaryComplete');
  assert.strictEqual((await action({ Action: 'QueueSummary' })).EventList, 'start');
  await listed;

  const seen = Promise.all(['Newchannel', 'OriginateResponse', 'Hangup'].map(event));
  const call = await action({
    Action: 'Originate', Channel: 'Local/1000@test', Context: 'click-to-dial', Exten: '2125551234', Priority: '1',
    Async: 'true', Variable: 'campaign_id=7',
  });
  assert.strictEqual(call.Response, 'Success', JSON.stringify(call));
  await seen;

  const refused = await action({ Action: AMI_FORBIDDEN, Family: 'clients', Key: 'k', Val: 'v' });
  assert.strictEqual(refused.Response, 'Error', JSON.stringify(refused));
  assert.strictEqual(refused.Message, 'Permission denied');

  const closed = event('disconnect');
  assert.strictEqual((await action({ Action: 'Logoff' })).Response, 'Goodbye');
  ami.disconnect();
  await closed;
}

setTimeout(() => fail(new Error('it took longer than 45 s')), 45000).unref();
main().then(() => process.exit(0), fail);
