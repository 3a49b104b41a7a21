'use strict';
// The test dialogue with asterisk-ami-client (no TLS: run it behind `amiwall connect`).
const assert = require('assert');
const AmiClient = require('asterisk-ami-client');
const { dialogue, run } = require('./dialogue.js');

const { AMI_HOST, AMI_PORT, AMI_USER, AMI_SECRET } = process.env;

run('asterisk-ami-client', async () => {
  const ami = new AmiClient({ reconnect: false, keepAlive: false, emitEventsByTypes: true, emitResponsesById: true });
  let count = 0;
  const action = (request) => new Promise((resolve) => {
    const id = `client-${count += 1}`;
    ami.once(`resp_${id}`, resolve);
    ami.action(Object.assign({ ActionID: id }, request));
  });
  const event = (name) => new Promise((resolve) => ami.once(name, resolve));

  await ami.connect(AMI_USER, AMI_SECRET, { host: AMI_HOST, port: Number(AMI_PORT) });
  await dialogue(action, event, 'campaign_id=7');

  const closed = event('disconnect');
  assert.strictEqual((await action({ Action: 'Logoff' })).Response, 'Goodbye');
  ami.disconnect();
  await closed;
});
