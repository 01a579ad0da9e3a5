import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeEnvironment, nodeFlags } from '@antirio/bundle';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { readByHttp, readByMqtt, type Commanded } from './command-load.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { cpuSecondsOf } from './kernel.ts';

interface CommandPorts {
  readonly metadata: number;
  readonly command: number;
  readonly mqtt: number;
}

const STARTS_WITHIN_MS = 20_000;

/** A program of this folder, from the sources, with the flags of the product; resolves with what it says when it is ready. */
async function startProgram<T>(children: ChildProcess[], file: string, argument: string): Promise<T> {
  const child = fork(join(import.meta.dirname, file), [argument], {
    execArgv: nodeFlags,
    env: { ...nodeEnvironment, ...process.env, NODE_OPTIONS: '' },
  });
  children.push(child);
  const ended = once(child, 'exit').then((): never => {
    throw new BenchError(`${file} ended before it had started`);
  });
  ended.catch(() => undefined);
  const ready = once(child, 'message', { signal: AbortSignal.timeout(STARTS_WITHIN_MS) });
  const [message] = (await Promise.race([ready, ended])) as [T];
  return message;
}

async function post(port: number, path: string, item: object): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v3/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([{ apiVersion: 'v3', ...item }]),
  });
  const [answer] = (await response.json()) as [{ statusCode: number; message?: string }];
  if (answer.statusCode !== 201) throw new BenchError(`${path}: ${answer.message ?? response.status}`);
}

async function addDevice(metadata: number, deviceService: number): Promise<void> {
  const state = { adminState: 'UNLOCKED', operatingState: 'UP' };
  const service = { name: 'bench-service', baseAddress: `http://127.0.0.1:${deviceService}`, ...state };
  await post(metadata, 'deviceservice', { service });
  const properties = { valueType: 'Float32', readWrite: 'R' };
  const profile = { name: 'bench-profile', deviceResources: [{ name: 'temperature', properties }] };
  await post(metadata, 'deviceprofile', { profile });
  const of = { serviceName: 'bench-service', profileName: 'bench-profile' };
  const device = { name: 'bench-device', ...of, ...state, protocols: { other: {} } };
  await post(metadata, 'device', { device });
}

interface Setting extends CommandPorts {
  readonly pid: number;
}

async function withCommand<T>(work: (setting: Setting) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-command-'));
  const children: ChildProcess[] = [];
  try {
    const ports = await startProgram<CommandPorts>(children, 'command-host.ts', folder);
    const { http } = await startProgram<{ http: number }>(
      children,
      'command-device-host.ts',
      String(ports.mqtt),
    );
    await addDevice(ports.metadata, http);
    return await work({ ...ports, pid: children[0]?.pid ?? 0 });
  } finally {
    // the device service first, so that it misses no broker
    for (const child of children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.disconnect();
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Load {
  readonly figure: string;
  readonly goal: number;
  readonly run: (setting: Setting, forMs: number) => Promise<Commanded>;
}

const LOADS: readonly Load[] = [
  {
    figure: 'core.command.http1',
    goal: 1_000,
    run: ({ command }, forMs) => readByHttp(command, 1, forMs),
  },
  {
    figure: 'core.command.http10',
    goal: 2_000,
    run: ({ command }, forMs) => readByHttp(command, 10, forMs),
  },
  {
    figure: 'core.command.mqtt10',
    goal: 1_500,
    run: ({ mqtt }, forMs) => readByMqtt(mqtt, 10, forMs),
  },
];

interface Run extends Commanded {
  /** Processor time of the services' process for each command, microseconds. */
  readonly cpuUs: number;
}

async function measure(load: Load, setting: Setting, forMs: number): Promise<Run> {
  const before = cpuSecondsOf(setting.pid);
  const commanded = await load.run(setting, forMs);
  const seconds = cpuSecondsOf(setting.pid) - before;
  return { ...commanded, cpuUs: (seconds / (commanded.perSecond * (forMs / 1_000))) * 1e6 };
}

async function* run({ options, signal, say }: BenchPorts): AsyncGenerator<Figure> {
  const forMs = options.quick ? 500 : 5_000;
  const turns = options.quick ? 1 : 5;
  const runs = await withCommand(async (setting) => {
    const all = new Map<string, Run[]>(LOADS.map(({ figure }) => [figure, []]));
    // Until the code is compiled.
    for (const load of LOADS) await load.run(setting, options.quick ? 200 : 2_000);
    for (let turn = 0; turn < turns; turn++)
      for (const load of LOADS) {
        signal.throwIfAborted();
        const done = await measure(load, setting, forMs);
        all.get(load.figure)?.push(done);
        say(`${load.figure}: ${JSON.stringify(done)}`);
      }
    return all;
  });
  for (const { figure, goal } of LOADS) {
    const of = (key: keyof Run): number[] => (runs.get(figure) ?? []).map((one) => one[key]);
    yield figureOf({
      figure,
      unit: 'commands/s',
      values: of('perSecond'),
      goal,
      better: 'more',
      context: {
        p50Ms: median(of('p50Ms')),
        p99Ms: median(of('p99Ms')),
        cpuUs: rounded(median(of('cpuUs')), 0),
      },
    });
  }
}

export const coreCommand: Benchmark = {
  name: 'core.command',
  about: 'reading a device through core-command and its device service, by HTTP and by MQTT',
  withinS: ({ quick }) => (quick ? 600 : 180),
  run,
};
