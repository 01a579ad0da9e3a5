// Outlives the demo by a moment, or, where the processes are to be kept, for good: what the demo started never outlives both.
//
// On its stdin, one per line: `add PID`, `drop PID`, `keep`. When the stdin ends, however the demo died, everything that is
// left is killed by its id, unless `keep` was said; then a SIGTERM to this process ends everything.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 1_000;
const STOP_MS = 5_000;
const POLL_MS = 100;

const wards = new Set<number>();
let kept = false;

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    wards.delete(pid);
    return false;
  }
}

const alive = (): number[] => [...wards].filter((pid) => signal(pid, 0));

async function endAll(): Promise<void> {
  for (const pid of alive()) {
    signal(pid, 'SIGCONT');
    signal(pid, 'SIGTERM');
  }
  for (let waited = 0; waited < STOP_MS && alive().length > 0; waited += POLL_MS) await sleep(POLL_MS);
  for (const pid of alive()) signal(pid, 'SIGKILL');
}

async function keepUntilGone(): Promise<void> {
  while (alive().length > 0) await sleep(LOOK_MS);
}

for (const name of ['SIGTERM', 'SIGINT'] as const)
  process.on(name, () => {
    // Without `keep` the demo ends its processes itself, and tells us by ending our stdin.
    if (kept) void endAll().then(() => process.exit(0));
  });

for await (const line of createInterface({ input: process.stdin })) {
  const [word, pid] = line.split(' ');
  if (word === 'add') wards.add(Number(pid));
  if (word === 'drop') wards.delete(Number(pid));
  if (word === 'keep') kept = true;
}
if (kept) await keepUntilGone();
else for (const pid of alive()) signal(pid, 'SIGKILL');
process.exit(0);
