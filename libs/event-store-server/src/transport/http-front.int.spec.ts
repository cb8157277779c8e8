import { type Socket, connect } from 'node:net';
import { connect as connectOverTls } from 'node:tls';
import { selfSignedCertificate } from '@perdure/testing';
import { type FrontLimits, HttpFront } from './http-front';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const opened: Socket[] = [];
let front: HttpFront;

async function listen(limits: Partial<FrontLimits>, certificate?: { readonly cert: Buffer; readonly key: Buffer }) {
  const http2: Socket[] = [];
  front = await HttpFront.listen({
    host: '127.0.0.1',
    port: 0,
    ...(certificate === undefined ? {} : { certificate }),
    onHttp2: (socket) => http2.push(socket),
    onHttp1Request: (_, response) => response.end('answer'),
    limits,
  });
  return http2;
}

function open(): Socket {
  const socket = connect({ port: front.port, host: '127.0.0.1' });
  socket.on('error', () => undefined).resume();
  opened.push(socket);
  return socket;
}

const closed = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once('close', resolve));

afterEach(async () => {
  for (const socket of opened.splice(0)) socket.destroy();
  const stopped = front.stopListening();
  front.destroyConnections();
  await stopped.closed;
});

describe('the port', () => {
  it('closes connections that say nothing, or too little to be understood', async () => {
    await listen({ firstBytesMs: 20 });
    const [silent, slow] = [open(), open()];
    slow.write('PR');
    await Promise.all([closed(silent), closed(slow)]);
    while (front.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('closes connections that never finish their handshake', async () => {
    await listen({ firstBytesMs: 20 }, pair());
    await closed(open());
  });

  it('closes a request over HTTP/1.1 that does not come to an end', async () => {
    await listen({ http1ConnectionMs: 20 });
    const socket = open();
    socket.write('GET / HTTP/1.1\r\nhost:');
    await closed(socket);
  });

  it('hands on HTTP/2 with all that was read of it, however it arrives', async () => {
    const http2 = await listen({});
    const socket = open();
    for (const letter of PREFACE) await new Promise((resolve) => socket.write(letter, () => setImmediate(resolve)));
    while (http2.length === 0) await new Promise((resolve) => setImmediate(resolve));
    let text = '';
    const [accepted] = http2;
    accepted?.setEncoding('latin1').on('data', (part: string) => void (text += part));
    accepted?.resume();
    while (text.length < PREFACE.length) await new Promise((resolve) => setImmediate(resolve));
    expect(text).toBe(PREFACE);
  });

  it('takes no more connections than it may', async () => {
    await listen({ connectionsMax: 2 });
    const [first, second] = [open(), open()];
    await Promise.all([first, second].map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    while (front.connections < 2) await new Promise((resolve) => setImmediate(resolve));
    await closed(open());
    first.destroy();
    while (front.connections > 1) await new Promise((resolve) => setImmediate(resolve));
    const next = open();
    next.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    await new Promise((resolve) => next.once('data', resolve));
  });

  it('negotiates the protocol over TLS', async () => {
    const http2 = await listen({}, pair());
    const socket = connectOverTls({ port: front.port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false });
    opened.push(socket);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    while (http2.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const older = connectOverTls({ port: front.port, host: '127.0.0.1', rejectUnauthorized: false });
    opened.push(older);
    older.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    const answer = await new Promise<Buffer>((resolve) => older.once('data', resolve));
    expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK/);
  });
});

function pair() {
  const { cert, key } = selfSignedCertificate();
  return { cert: Buffer.from(cert), key: Buffer.from(key) };
}
