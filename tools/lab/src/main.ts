// `npm run lab -- up|handover|down [--seed S]`: two edges and a centre, every service in a container of its own.
import { parseArgs } from 'node:util';
import { DemoError } from '@antirio/demo';
import { createStage, monotonic, tableOf } from '@antirio/demo/scenes';
import { ImageError } from '@antirio/edge-image';
import {
  directionsOf,
  down,
  handover,
  OVERRIDES,
  readState,
  up,
  type LabOptions,
  type Override,
} from './index.ts';

const USAGE = `npm run lab -- up         a centre, edge A and edge B, every service in a container of its own; motes that send
npm run lab -- handover   has edge A insured, kills all of its containers, shows the takeover and the handback
npm run lab -- down       ends it: containers, networks, volumes

  --seed S    traffic, losses and the moment of the failure follow from it (1)
  --with O    ${OVERRIDES.join(', ')}: in place of what the lab has by itself; may be given again. tls: TLS, and a token for
              each service. Images come from their registry, or are made of this machine's programs
  --project P name of the containers, networks and volumes (antirio-lab)

LAB_SUBNET and LAB_AIR_SUBNET are the first three bytes of the addresses of its two fixed networks (10.213.17, 10.213.18);
COMPOSE_BIN is the Docker Compose to use.
`;

function tell(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function tellWhere({ project }: LabOptions): void {
  const state = readState(project);
  if (state !== undefined) tell(['The lab is up (npm run lab -- down ends it):', ...directionsOf(state)]);
}

async function performHandover(options: LabOptions): Promise<void> {
  const { report, faults } = await handover(options);
  const closing = report.ok
    ? ['Nothing lost, nothing doubled, nothing forged.']
    : ['The handover FAILED:', ...faults.map((fault) => `  - ${fault}`)];
  tell(['', ...tableOf(report), '', ...closing]);
  process.exitCode = report.ok ? 0 : 1;
  tellWhere(options);
}

async function perform(what: string | undefined, options: LabOptions): Promise<void> {
  switch (what) {
    case 'up':
      await up(options);
      tellWhere(options);
      return;
    case 'handover':
      await performHandover(options);
      return;
    case 'down':
      await down(options.project);
      return;
    default:
      process.stderr.write(USAGE);
      process.exitCode = 2;
  }
}

const stage = createStage({ output: process.stdout, terminal: process.stdout.isTTY, now: monotonic });
try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '1' },
      with: { type: 'string', multiple: true, default: [] },
      project: { type: 'string', default: 'antirio-lab' },
    },
  });
  const { LAB_SUBNET: betweenEdges = '10.213.17', LAB_AIR_SUBNET: air = '10.213.18' } = process.env;
  const overrides = values.with.filter((name): name is Override => OVERRIDES.some((one) => one === name));
  const what = overrides.length === values.with.length ? positionals[0] : undefined;
  await perform(what, { ...values, overrides, stage, subnets: { betweenEdges, air } });
} catch (error) {
  if (!(error instanceof ImageError || error instanceof DemoError || error instanceof TypeError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
