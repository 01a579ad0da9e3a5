import { build } from 'esbuild';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { sha256Hex, utf8 } from '@antirio/kernel';

/**
 * A device service as small as it can be: shadow and reading, a status, one reading on activation, one command. What it is told by PUT it
 * keeps, and tells how much that is. With `frames` it reads a ring besides, from a cursor that it keeps, and sends a downlink for each.
 */
const SOURCE = `
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createMqttBus } from '@antirio/bus';
import { httpPeer, silentLog } from '@antirio/host';
const run = process.env.ANTIRIO_RUN_DIR;
const config = JSON.parse(readFileSync(run + '/config.json', 'utf8'));
const image = readFileSync(new URL('version', import.meta.url), 'utf8');
if (image === 'broken') process.exit(9);
process.stdin.on('end', () => process.exit(3)).resume();
process.on('SIGTERM', () => setTimeout(() => process.exit(0), config.slowMs ?? 0));
const { socket, username, password } = config.bus;
const bus = createMqttBus({ socketPath: socket, username, password }, silentLog);
const data = httpPeer({ socketPath: config.north.coreData.socket });
const metadata = httpPeer({ socketPath: config.north.coreMetadata.socket });
const topic = config.prefix + 'antirio/service/' + config.serviceName + '/' + (config.instance ? config.instance + '/' : '');
const acceptedFile = config.dataDir + '/accepted';
let accepted = existsSync(acceptedFile) ? Number(readFileSync(acceptedFile, 'utf8')) : 0;
if (image === 'picky' && accepted > 0) process.exit(8);
let state = config.startState;
let keyVersion;
const status = () => bus.publish(topic + 'status',
  JSON.stringify({ state, image, version: config.version, pid: process.pid, keyVersion, accepted }), { retain: true }).catch(() => {});
const device = config.devices[0];
const reading = () => ({ origin: 1700000000123456789, deviceName: device.name, resourceName: 'temperature',
  profileName: device.profileName, valueType: 'Int64', value: '7' });
const event = (text) => text.replace('1700000000123456800', '1700000000123456789');
await metadata.call({ path: '/api/v3/ping' });
await metadata.call({ method: 'POST', path: '/api/v3/deviceservice',
  json: [{ apiVersion: 'v3', service: { name: config.serviceName, baseAddress: 'http://nowhere' } }] });
await metadata.call({ method: 'POST', path: '/api/v3/device',
  json: [{ apiVersion: 'v3', device: { name: device.name, serviceName: config.serviceName, profileName: device.profileName } }] });
createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  if (request.method === 'PUT') writeFileSync(acceptedFile, String(++accepted));
  response.end(event(JSON.stringify({ apiVersion: 'v3', statusCode: 200, asked: request.method + ' ' + request.url,
    event: { deviceName: device.name, profileName: device.profileName, sourceName: 'temperature', readings: [reading()] } })));
}).listen(config.listen.socket);
await bus.subscribe(topic + 'control', async (_topic, payload) => {
  const order = JSON.parse(Buffer.from(payload).toString());
  if (order.type === 'activate' && state === 'shadow') {
    if (config.slowMs) await new Promise((resolve) => setTimeout(resolve, config.slowMs));
    if (state !== 'shadow') return;
    keyVersion = JSON.parse(readFileSync(order.secretsFile, 'utf8')).keyVersion;
    state = 'reading';
    const body = { apiVersion: 'v3', event: { apiVersion: 'v3', id: '7f6b4a4e-0000-5000-8000-000000000001',
      deviceName: device.name, profileName: device.profileName, sourceName: 'temperature', origin: 1, readings: [reading()] } };
    await data.call({ method: 'POST', headers: { 'content-type': 'application/json' },
      path: '/api/v3/event/' + [config.serviceName, device.profileName, device.name, 'temperature'].join('/'),
      body: Buffer.from(event(JSON.stringify(body))) });
  }
  if (order.type === 'standdown') { state = 'shadow'; keyVersion = undefined; }
  await status();
});
const cursorFile = config.dataDir + '/cursor';
let cursor = existsSync(cursorFile) ? Number(readFileSync(cursorFile, 'utf8')) : 0;
const ask = () => state === 'reading' && bus.publish(config.prefix + 'frames/ask', String(cursor), { qos: 1 }).catch(() => {});
const store = (seq) => data.call({ method: 'POST', headers: { 'content-type': 'application/json' },
  path: '/api/v3/event/' + [config.serviceName, device.profileName, device.name, 'temperature'].join('/'),
  body: Buffer.from(event(JSON.stringify({ apiVersion: 'v3', event: { apiVersion: 'v3',
    id: '7f6b4a4e-0000-5000-9000-' + String(seq).padStart(12, '0'), deviceName: device.name, profileName: device.profileName,
    sourceName: 'temperature', origin: 1, readings: [reading()] } }))) });
if (config.frames) {
  await bus.subscribe(config.prefix + 'frames/give', async (_topic, payload) => {
    const seq = Number(Buffer.from(payload).toString());
    if (state !== 'reading' || seq !== cursor + 1) return;
    await bus.publish(config.prefix + 'gateway/all/command/down', JSON.stringify({ image, pid: process.pid, seq }), { qos: 1 });
    if ((await store(seq)).status !== 201) return;
    cursor = seq;
    writeFileSync(cursorFile + '.next', String(seq));
    renameSync(cursorFile + '.next', cursorFile);
    await ask();
  });
  setInterval(ask, 50);
}
if (image !== 'mute') { await status(); setInterval(status, 1000); }
if (config.crashAfterMs) setTimeout(() => process.exit(9), config.crashAfterMs);
`;

let bundle: Promise<string> | undefined;

function bundled(): Promise<string> {
  bundle ??= build({
    stdin: { contents: SOURCE, resolveDir: import.meta.dirname, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minify: true,
    write: false,
    logLevel: 'silent',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  }).then((result) => result.outputFiles[0]?.text ?? '');
  return bundle;
}

interface File {
  readonly name: string;
  readonly mode?: number;
  readonly content: string | Uint8Array;
}

async function tarOf(files: readonly File[]): Promise<Uint8Array> {
  const tar = pack();
  // The same files are the same layer, whenever it is built.
  const mtime = new Date(0);
  for (const { content, ...header } of files) tar.entry({ ...header, mtime }, Buffer.from(content));
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Writes the service as a docker archive.
 * @param base files below it, where its `node` must be in the image
 * @returns the image id
 */
export async function writeTinyService(
  path: string,
  version: string,
  base: readonly File[] = [],
): Promise<string> {
  return writeImage(path, [base, [mainOf(await bundled()), { name: 'app/version', content: version }]]);
}

const mainOf = (content: string): File => ({ name: 'app/main.mjs', content });

/** Listens under its name once what it `NEEDS` answers, tells its folder when it began, and what it was asked to be: `MUTE` never listens. */
const COMPANION = `
import { appendFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
const { ANTIRIO_LINKS_DIR: links, ANTIRIO_SERVICE_NAME: name, NEEDS: needs, MUTE: mute, HOME: home } = process.env;
process.stdin.on('end', () => process.exit(3)).resume();
process.on('SIGTERM', () => process.exit(0));
const begin = () => {
  appendFileSync(home + '/began', JSON.stringify({ pid: process.pid, at: Date.now() }) + '\\n');
  if (!mute) createServer((socket) => socket.on('error', () => {}).end(name)).listen(links + '/' + name + '.sock');
  else setInterval(() => {}, 1000);
};
if (needs) connect(links + '/' + needs + '.sock').on('connect', begin).on('error', () => process.exit(7));
else begin();
`;

/** A service beside another, as a docker archive. @returns the image id */
export function writeTinyCompanion(path: string, base: readonly File[] = []): Promise<string> {
  return writeImage(path, [base, [mainOf(COMPANION)]]);
}

async function writeImage(path: string, parts: readonly (readonly File[])[]): Promise<string> {
  const layers = await Promise.all(parts.filter((files) => files.length > 0).map(tarOf));
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Entrypoint: ['node', '/app/main.mjs'],
      Env: ['PATH=/usr/local/bin'],
      WorkingDir: '/app',
    },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256Hex(layer)}`) },
  });
  const id = sha256Hex(utf8(config));
  const names = layers.map((_, i) => `${i}/layer.tar`);
  const manifest = JSON.stringify([{ Config: `${id}.json`, Layers: names }]);
  const archive = await tarOf([
    ...layers.map((content, i) => ({ name: names[i] ?? '', content })),
    { name: `${id}.json`, content: config },
    { name: 'manifest.json', content: manifest },
  ]);
  await pipeline([archive], createWriteStream(path));
  return `sha256:${id}`;
}
