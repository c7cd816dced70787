// A mail program written with the package "nodemailer". The task comes as JSON on standard input, the report leaves as
// JSON: for each mail the server's reply, or what went wrong.
//
// task.mails: each {transport: options of the transport beside the address, mail: options of the mail}.

'use strict';

const nodemailer = require('nodemailer');
const fs = require('fs');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));

async function send({transport, mail}) {
  const mailer = nodemailer.createTransport({host: '127.0.0.1', port: task.port, tls: {rejectUnauthorized: false},
    ...transport});
  try {
    return {response: (await mailer.sendMail(mail)).response};
  } catch (error) {
    return {error: error.code, command: error.command, status: error.responseCode};
  } finally {
    mailer.close();
  }
}

async function main() {
  const report = [];
  for (const one of task.mails) {
    report.push(await send(one));
  }
  process.stdout.write(JSON.stringify(report));
}

main();
