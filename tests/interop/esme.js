// An ESME written with the package "smpp". The task comes as JSON on standard input, the report leaves as JSON.
//
// task.bind: "transceiver", or "pair" for a transmitter and a receiver.
// task.messages: each a list of submit_sm options; a "udh" in hexadecimal goes before the "short_message".

'use strict';

const smpp = require('smpp');
const fs = require('fs');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const report = {binds: [], submits: [], receipts: [], queries: [], enquire_link: null, unbinds: []};
const open = [];

function request(session, command, options) {
  return new Promise((resolve, reject) => {
    session.once('close', () => reject(new Error(`closed during ${command}`)));
    if (!session[command](options, resolve)) {
      reject(new Error(`${command} was not sent`));
    }
  });
}

function connect(bind, receipts) {
  return new Promise((resolve, reject) => {
    const session = smpp.connect({url: `smpp://127.0.0.1:${task.port}`}, async () => {
      const answer = await request(session, `bind_${bind}`, {system_id: task.login, password: task.password});
      report.binds.push({status: answer.command_status, system_id: answer.system_id,
        version: answer.sc_interface_version});
      resolve(session);
    });
    session.setMaxListeners(0);
    session.on('error', reject);
    session.on('deliver_sm', (pdu) => {
      report.receipts.push({id: pdu.receipted_message_id, state: pdu.message_state, esm_class: pdu.esm_class,
        from: pdu.source_addr, to: pdu.destination_addr, text: pdu.short_message.message});
      session.send(pdu.response());
      receipts(report.receipts.length);
    });
    open.push(session);
  });
}

async function main() {
  let enough;
  const all = new Promise((resolve) => {
    enough = resolve;
  });
  const count = (number) => number === task.messages.length && enough();
  const pair = task.bind === 'pair';
  const transmitter = await connect(pair ? 'transmitter' : 'transceiver', count);
  if (pair) {
    await connect('receiver', count);
  }
  report.submits = await Promise.all(task.messages.map(async (message) => {
    const options = {source_addr_ton: 5, source_addr: 'DEMO', dest_addr_ton: 1, dest_addr_npi: 1,
      registered_delivery: 1, ...message};
    if (message.udh) {
      options.short_message = {udh: Buffer.from(message.udh, 'hex'), message: message.short_message};
      delete options.udh;
    }
    const answer = await request(transmitter, 'submit_sm', options);
    return {status: answer.command_status, id: answer.message_id};
  }));
  await all;
  for (const {id} of report.submits) {
    const answer = await request(transmitter, 'query_sm', {message_id: id, source_addr_ton: 5, source_addr: 'DEMO'});
    report.queries.push({status: answer.command_status, id: answer.message_id, state: answer.message_state,
      error: answer.error_code, final_date: answer.final_date});
  }
  report.enquire_link = (await request(transmitter, 'enquire_link', {})).command_status;
  for (const session of open) {
    const closed = new Promise((resolve) => session.once('close', resolve));
    report.unbinds.push((await request(session, 'unbind', {})).command_status);
    await closed;
  }
}

main().then(() => {
  process.stdout.write(JSON.stringify(report));
}, (error) => {
  process.stderr.write(`${error.stack}\n${JSON.stringify(report)}\n`);
  process.exit(1);
});
