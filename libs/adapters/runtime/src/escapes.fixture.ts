/**
 * What a hostile service runs in its container: it tries to get out, and says on its socket how far it came. Each attempt is bounded by
 * itself, so that nothing happens to a machine whose limit does not hold: 200 sleeping processes, 256 MB of memory, 80 MB of files.
 */
export const HOSTILE = `
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
process.stdin.resume();
const run = process.env.ANTIRIO_RUN_DIR;
const attempt = (work) => { try { return work() ?? 'done'; } catch (error) { return error.code ?? String(error); } };
const write = (path, text) => attempt(() => writeFileSync(path, text));

if (process.argv[2] === 'memory') {
  const held = [];
  for (let mb = 0; mb < 256; mb += 4) {
    held.push(Buffer.alloc(4 << 20, mb + 1));
    writeFileSync(1, '.');
  }
  writeFileSync(1, 'all of it');
  process.exit(0);
}

const command = (file, ...args) => {
  const { status, stderr, error } = spawnSync(file, args, { encoding: 'utf8' });
  return error?.code ?? status + ' ' + stderr.trim().split(': ').at(-1);
};

function forks() {
  const sleepers = [];
  const done = Promise.withResolvers();
  const next = () => {
    if (sleepers.length >= 200) { done.resolve('no limit'); return; }
    const child = spawn('/bin/sleep', ['20'], { stdio: 'ignore' });
    child.once('error', (error) => done.resolve(error.code));
    child.once('spawn', () => { sleepers.push(child); next(); });
  };
  next();
  return done.promise.then(async (refusal) => {
    await Promise.all(sleepers.map((child) => new Promise((gone) => {
      child.once('close', gone);
      child.kill('SIGKILL');
    })));
    return { refusal, started: sleepers.length };
  });
}

function memory() {
  const child = spawn(process.execPath, ['/app/main.mjs', 'memory']);
  let heard = '';
  child.stdout.on('data', (chunk) => (heard += chunk));
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ signal: error.code, mb: 0, whole: false }));
    child.once('close', (_code, signal) =>
      resolve({ signal, mb: (heard.match(/\\./g) ?? []).length * 4, whole: heard.endsWith('all of it') }));
  });
}

function files() {
  let mb = 0;
  const refusal = attempt(() => {
    for (; mb < 80; mb += 1) appendFileSync('/tmp/bomb', Buffer.alloc(1 << 20, 1));
    return 'no limit';
  });
  attempt(() => unlinkSync('/tmp/bomb'));
  return { refusal, mb };
}

const reach = (where) => new Promise((resolve) => {
  const socket = connect(where);
  const end = (what) => { socket.destroy(); resolve(what); };
  socket.once('connect', () => end('connected'));
  socket.once('error', (error) => end(error.code));
  setTimeout(() => end('nothing'), 1500);
});

const mounts = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\\n').map((line) => line.split(' '));
const found = {
  unshare: command('/usr/bin/unshare', '--user', '--map-root-user', '/bin/sleep', '0'),
  mountNamespace: command('/usr/bin/unshare', '--mount', '/bin/sleep', '0'),
  chroot: command('/usr/sbin/chroot', '/app', '/bin/sleep', '0'),
  writable: mounts.map(([, , , , at]) => at).filter((at) => write(at + '/intruded', 'x') === 'done'),
  blockDevices: readdirSync('/dev').filter((name) => attempt(() => statSync('/dev/' + name).isBlockDevice()) === true),
  kernel: [
    write('/proc/sys/kernel/core_pattern', '|/app/out'),
    write('/proc/sysrq-trigger', 'h'),
    write('/sys/kernel/uevent_helper', '/app/out'),
  ],
  sockets: ['/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock', '/var/run/balena.sock'].filter((path) => existsSync(path)),
  abstract: await reach({ path: '\\0' + process.env.OUTSIDE }),
  bridge: await reach({ host: '172.17.0.1', port: Number(process.env.OUTSIDE_PORT) }),
  host: await reach({ host: '127.0.0.1', port: Number(process.env.OUTSIDE_PORT) }),
  files: files(),
  forks: await forks(),
  memory: await memory(),
};
createServer((s) => s.end(JSON.stringify(found))).listen(run + '/svc.sock');
`;
