// `npm run lab`: two edges and a centre, every service in a container of its own.
import { readCommandLine, UsageError } from '@antirio/command-line';
import { DemoError } from '@antirio/demo';
import { cellOf, createStage, monotonic, record, tableOf } from '@antirio/demo/scenes';
import { ImageError } from '@antirio/edge-image';
import {
  directionsOf,
  down,
  handover,
  LAB_FAILURES,
  OVERRIDES,
  readState,
  up,
  type LabFailure,
  type LabOptions,
  type Override,
} from './index.ts';

const USAGE = `npm run lab -- up         a centre, edge A and edge B, every service in a container of its own; motes that send
npm run lab -- handover   has edge A insured, lets it fail, shows the takeover and the handback
npm run lab -- down       ends it: containers, networks, volumes

  --seed S    traffic, losses and the moment of the failure follow from it (1)
  --kill K    how edge A fails in handover: ${LAB_FAILURES.join(', ')} (sigkill: all
              of its containers die). Ways are cut and lossy in the network namespaces of the containers, by the kernel; as root
  --markdown FILE
              writes what happened in handover into the table of this document
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
  if (report.ok && markdown !== undefined)
    record(markdown, cellOf({ kill, standby: 'hot', runtime: 'lab' }, report));
  process.exitCode = report.ok ? 0 : 1;
  tellWhere(options);
}

const acts = {
  up: async (options: LabOptions): Promise<void> => {
    await up(options);
    tellWhere(options);
  },
  handover: performHandover,
  down: ({ project }: LabOptions): Promise<void> => down(project),
};

const isAct = (word: string): word is keyof typeof acts => Object.hasOwn(acts, word);
const isFailure = (word: string): word is LabFailure => LAB_FAILURES.some((one) => one === word);
const isOverride = (word: string): word is Override => OVERRIDES.some((one) => one === word);

const { act, seed, kill, markdown, project, overrides } = readCommandLine({
  usage: USAGE,
  flags: {
    seed: { type: 'string', default: '1' },
    kill: { type: 'string', default: 'sigkill' },
    markdown: { type: 'string' },
    with: { type: 'string', multiple: true, default: [] },
    project: { type: 'string', default: 'antirio-lab' },
  },
  positionals: 1,
  read({ values, positionals: [word = ''] }) {
    if (!isAct(word))
      throw new UsageError(word === '' ? 'What shall the lab do?' : `The lab knows no ${word}`);
    const strange = values.with.find((one) => !isOverride(one));
    if (strange !== undefined) throw new UsageError(`--with is of ${OVERRIDES.join(', ')}, not ${strange}`);
    const { kill } = values;
    if (!isFailure(kill)) throw new UsageError(`--kill is of ${LAB_FAILURES.join(', ')}, not ${kill}`);
    return { ...values, kill, act: acts[word], overrides: values.with.filter(isOverride) };
  },
});

const stage = createStage({ output: process.stdout, terminal: process.stdout.isTTY, now: monotonic });
try {
  const { LAB_SUBNET: betweenEdges = '10.213.17', LAB_AIR_SUBNET: air = '10.213.18' } = process.env;
  await act({ seed, kill, project, overrides, stage, subnets: { betweenEdges, air } });
} catch (error) {
  if (!(error instanceof ImageError || error instanceof DemoError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
