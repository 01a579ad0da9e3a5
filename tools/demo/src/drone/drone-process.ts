// The drone: `node drone-process.ts PLAN`. Flies the route of the plan once, and tells on stdout, a JSON object a line.
import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog, loadConfig } from '@antirio/host';
import { createFeed } from './feed.ts';
import { fly } from './flight.ts';
import { openLinks } from './links.ts';
import { flightPlan } from './plan.ts';

const tell = (event: string, about: object): void => {
  process.stdout.write(`${JSON.stringify({ event, ...about })}\n`);
};

const file = process.argv[2] ?? '';
const plan = loadConfig(flightPlan, { file });
const log = openSync(plan.logFile, 'w', 0o600);
const links = openLinks(plan, createLog('drone'), () => performance.now());
let landed = false;
// who ends us before the landing has no use for the rest of the flight
process.on('SIGTERM', () => process.exit(landed ? 0 : 1));
try {
  const report = await fly({
    plan,
    feed: createFeed(plan.seed, plan.width, plan.height),
    links,
    now: () => performance.timeOrigin + performance.now(),
    sleep: (ms) => sleep(ms),
    onAck: (ack) => void writeSync(log, `${JSON.stringify(ack)}\n`),
    onHanded: (handed) => tell('handed', handed),
  });
  landed = true;
  tell('landed', report);
} finally {
  await Promise.all(links.map((link) => link.close()));
  closeSync(log);
}
// On the ground until somebody fetches it.
process.stdin.on('end', () => process.exit(0)).resume();
