// What is said to us goes to a container, and what it says comes back: `node attach-process.ts <container>`.
import { spawn } from 'node:child_process';

const [container = ''] = process.argv.slice(2);
const child = spawn('docker', ['attach', '--sig-proxy=false', container], { stdio: 'inherit' });
// The engine's client takes its time over signals; the container goes on in any case.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill('SIGKILL'));
child.once('close', (code) => process.exit(code ?? 1));
