import { beforeAll, describe, expect, test } from '@jest/globals';
import { runCommand, type Said } from './support/command.ts';

/** Whoever takes longer than this hangs. */
const WITHIN_MS = 900_000;

interface Figure extends Readonly<Record<string, unknown>> {
  readonly figure: string;
  readonly median: number;
  readonly unit: string;
  readonly reached?: boolean;
}

const bench = (...args: string[]): Promise<Said> =>
  runCommand('env', ['NODE_OPTIONS=', 'KUBO_BIN=', 'node', 'bench/main.ts', ...args]);

describe('npm run bench', () => {
  const all: Figure[] = [];
  beforeAll(async () => {
    const core = ['ingest', 'kill', 'command', 'query', 'memory'].map((name) => `core.${name}`);
    // Side by side: the one mostly works, and the other mostly waits.
    const both = await Promise.all([
      bench('--quick', 'codec', 'start', 'udp', ...core),
      bench('--quick', 'lora', 'storage'),
    ]);
    for (const { code, stdout, stderr } of both) {
      expect(code === 0 ? 'all were taken' : stderr).toBe('all were taken');
      for (const line of stdout.split('\n').filter(Boolean)) all.push(JSON.parse(line) as Figure);
    }
  }, WITHIN_MS);

  /** The figures of these benchmarks, in their order. */
  const figuresOf = (...benchmarks: string[]): Figure[] =>
    all.filter(({ figure }) => benchmarks.some((name) => figure.startsWith(`${name}.`) || figure === name));

  test('prints one line of JSON for each figure', () => {
    const figures = figuresOf('codec', 'start', 'udp');
    expect(figures.map(({ figure }) => figure)).toEqual([
      'codec.ratio',
      'codec.long',
      'start.first',
      'start.again',
      'udp.dropped',
      'udp.missing',
    ]);
    for (const { median, p5, p95, runs } of all)
      for (const value of [median, p5, p95, runs]) expect(value).toEqual(expect.any(Number));
    // These two are no matter of speed.
    expect(figures.slice(-2)).toEqual([
      expect.objectContaining({ goal: 0, reached: true }),
      expect.objectContaining({ goal: 0, reached: true }),
    ]);
  });

  test('loses no event, in a burst or a stream', () => {
    const figures = figuresOf('core.ingest');
    expect(figures.map(({ figure }) => figure)).toEqual([
      ...['post1', 'post10', 'post64', 'post64.p99', 'post.missing'].map((name) => `core.ingest.${name}`),
      ...['burst', 'burst.lost'].map((name) => `core.ingest.${name}`),
      ...['stream', 'stream.lost', 'stream.grown'].map((name) => `core.ingest.${name}`),
    ]);
    for (const { figure, reached } of figures)
      if (/\.(?:lost|missing)$/.test(figure)) expect(reached).toBe(true);
  });

  test('kills core-data and counts what it lacks', () => {
    expect(figuresOf('core.kill').map(({ figure }) => figure)).toEqual(['core.kill.missing']);
  });

  test('commands a device by HTTP and by MQTT', () => {
    const figures = figuresOf('core.command');
    const names = ['http1', 'http10', 'mqtt10'].map((name) => `core.command.${name}`);
    expect(figures.map(({ figure }) => figure)).toEqual(names);
    for (const { median, unit } of figures) expect([median > 0, unit]).toEqual([true, 'commands/s']);
  });

  test('asks core-data, and looks at the memory of the core services', () => {
    const figures = figuresOf('core.query', 'core.memory');
    expect(figures.map(({ figure }) => figure)).toEqual([
      ...['all', 'all10', 'far', 'device', 'count', 'bytes'].map((name) => `core.query.${name}`),
      'core.memory.idle',
      'core.memory.loaded',
    ]);
    // No matter of speed.
    expect(figures.find(({ figure }) => figure === 'core.query.bytes')).toMatchObject({ reached: true });
  });

  test('takes uplinks from the radio to the bus, and loses and doubles none', () => {
    const figures = figuresOf('lora');
    expect(figures.map(({ figure }) => figure)).toEqual([
      ...['uplinks', 'uplinks.lost', 'uplinks.doubled'].map((name) => `lora.${name}`),
      ...['latency', 'latency.lost', 'latency.doubled'].map((name) => `lora.${name}`),
      ...['sessions', 'sessions.own', 'sessions.lost'].map((name) => `lora.${name}`),
    ]);
    for (const { figure, reached } of figures)
      if (/\.(?:lost|doubled)$/.test(figure)) expect(reached).toBe(true);
  });

  test('stores, fetches, and moves only what has changed', () => {
    const figures = figuresOf('storage');
    expect(figures.map(({ figure }) => figure)).toEqual([
      ...['import', 'import.v0', 'import.tar', 'memory.import8', 'memory.fetch8', 'fetch.cold'].map(
        (name) => `storage.${name}`,
      ),
      ...['', '.paced', '.memory.giver', '.memory.taker'].map((name) => `storage.between-edges${name}`),
      ...['delta.code', 'delta.dependencies', 'delta.base', 'lies.accepted', 'piece'].map(
        (name) => `storage.${name}`,
      ),
    ]);
    for (const { figure, reference } of figures)
      if (/^storage\.(?:import|import\.v0|fetch\.cold)$/.test(figure)) expect(reference).toBe('absent');
    // No matter of speed.
    const [source, dependencies, base, lies] = figures.slice(-5);
    expect(source).toMatchObject({ reached: true });
    for (const delta of [source, dependencies, base]) {
      expect(delta?.median).toBeGreaterThan(0);
      expect(delta?.median).toBeLessThan(Number(delta?.['missingLayersMB']));
      expect(delta?.['missingLayersMB']).toBeLessThan(Number(delta?.['wholeTarMB']));
    }
    expect(lies).toMatchObject({ median: 0, reached: true });
    expect(lies?.['told']).toBe(200);
  });

  test('names what there is where something else is asked for', async () => {
    const { code, stdout, stderr } = await bench('speed');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('there is no benchmark speed');
    expect(stderr).toContain('takeover.hot');
  });
});
