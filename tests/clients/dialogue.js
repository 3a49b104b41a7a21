'use strict';
// What all clients of Node.js are asked, for those whose packets have Asterisk's own names.
const assert = require('assert');

/** A list to its end, a call with its events, and an action that is refused. */
exports.dialogue = async (action, event, variable) => {
  assert.strictEqual((await action({ Action: 'Ping' })).Ping, 'Pong');

  const listed = event('QueueSummaryComplete');
  assert.strictEqual((await action({ Action: 'QueueSummary' })).EventList, 'start');
  await listed;

  const seen = Promise.all(['Newchannel', 'OriginateResponse', 'Hangup'].map(event));
  const call = await action({
    Action: 'Originate', Channel: 'Local/1000@test', Context: 'click-to-dial', Exten: '2125551234', Priority: '1',
    Async: 'true', Variable: variable,
  });
  assert.strictEqual(call.Response, 'Success', JSON.stringify(call));
  await seen;

  const refused = await action({ Action: process.env.AMI_FORBIDDEN, Family: 'clients', Key: 'k', Val: 'v' });
  assert.strictEqual(refused.Response, 'Error', JSON.stringify(refused));
  assert.strictEqual(refused.Message, 'Permission denied');
};

/** Runs a client's `main(fail)`, and ends with its outcome. */
exports.run = (name, main) => {
  const fail = (error) => {
    console.error(`${name}: ${error && error.message ? error.message : JSON.stringify(error)}`);
    process.exit(1);
  };
  setTimeout(() => fail(new Error('it took longer than 45 s')), 45000).unref();
  main(fail).then(() => process.exit(0), fail);
};
