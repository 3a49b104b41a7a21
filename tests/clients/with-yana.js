'use strict';
// The test dialogue with yana (no TLS: run it behind `amiwall connect`).
const assert = require('assert');
const AMI = require('yana');
const { dialogue, run } = require('./dialogue.js');

const { AMI_HOST, AMI_PORT, AMI_USER, AMI_SECRET } = process.env;

run('yana', async (fail) => {
  const ami = new AMI({ host: AMI_HOST, port: Number(AMI_PORT), login: AMI_USER, password: AMI_SECRET });
  ami.on('error', (message) => fail(new Error(message)));
  // The callback of an action sees every packet with its ActionID; the first is the answer.
  const action = (request) => new Promise((resolve) => { ami.send(request, resolve); });
  const event = (name) => new Promise((resolve) => { ami.once(name, resolve); });

  await new Promise((resolve) => { ami.connect(resolve); });
  assert.match(ami.version, /^\d+\.\d+/);
  await dialogue(action, event, ['campaign_id=7']);

  // Its disconnect() is a Logoff and waits for the answer.
  const closed = new Promise((resolve) => { ami.socket.once('close', resolve); });
  await new Promise((resolve) => { ami.disconnect(resolve); });
  await closed;
});
