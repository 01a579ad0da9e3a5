import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '..');

function bench(...args: string[]): {
  readonly code: number | null;
  readonly lines: string[];
  readonly err: string;
} {
  const { status, stdout, stderr } = spawnSync('node', ['bench/main.ts', ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 240_000,
    env: { ...process.env, NODE_OPTIONS: '', KUBO_BIN: '' },
  });
  return { code: status, lines: stdout.split('\n').filter(Boolean), err: stderr };
}

describe('npm run bench', () => {
  test('prints one line of JSON for each figure', () => {
    const { code, lines } = bench('--quick', 'codec', 'start', 'udp');
    expect(code).toBe(0);
    const figures = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(figures.map(({ figure }) => figure)).toEqual([
      'codec.ratio',
      'codec.long',
      'start.first',
      'start.again',
      'udp.dropped',
      'udp.missing',
    ]);
    for (const { median, p5, p95, runs } of figures)
      for (const value of [median, p5, p95, runs]) expect(value).toEqual(expect.any(Number));
    // These two are no matter of speed.
    expect(figures.slice(-2)).toEqual([
      expect.objectContaining({ goal: 0, reached: true }),
      expect.objectContaining({ goal: 0, reached: true }),
    ]);
  });

  test('loses no event, in a burst or a stream', () => {
    const { code, lines } = bench('--quick', 'core.ingest');
    expect(code).toBe(0);
    const figures = lines.map(
      (line) => JSON.parse(line) as { figure: string; median: number; reached: boolean },
    );
    expect(figures.map(({ figure }) => figure)).toEqual([
      ...['post1', 'post10', 'post64', 'post64.p99', 'post.missing'].map((name) => `core.ingest.${name}`),
      ...['burst', 'burst.lost'].map((name) => `core.ingest.${name}`),
      ...['stream', 'stream.lost', 'stream.grown'].map((name) => `core.ingest.${name}`),
    ]);
    for (const { median } of figures) expect(median).toEqual(expect.any(Number));
    for (const { figure, reached } of figures)
      if (/\.(?:lost|missing)$/.test(figure)) expect(reached).toBe(true);
  });

  test('kills core-data and counts what it lacks', () => {
    const { code, lines } = bench('--quick', 'core.kill');
    expect(code).toBe(0);
    expect(lines.map((line) => (JSON.parse(line) as { figure: string }).figure)).toEqual([
      'core.kill.missing',
    ]);
  });

  test('commands a device by HTTP and by MQTT', () => {
    const { code, lines } = bench('--quick', 'core.command');
    expect(code).toBe(0);
    const figures = lines.map((line) => JSON.parse(line) as { figure: string; median: number; unit: string });
    const names = ['http1', 'http10', 'mqtt10'].map((name) => `core.command.${name}`);
    expect(figures.map(({ figure }) => figure)).toEqual(names);
    for (const { median, unit } of figures) expect([median > 0, unit]).toEqual([true, 'commands/s']);
  });

  test('asks core-data, and looks at the memory of the core services', () => {
    const { code, lines } = bench('--quick', 'core.query', 'core.memory');
    expect(code).toBe(0);
    const figures = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(figures.map(({ figure }) => figure)).toEqual([
      ...['all', 'all10', 'far', 'device', 'count', 'bytes'].map((name) => `core.query.${name}`),
      'core.memory.idle',
      'core.memory.loaded',
    ]);
    for (const { median } of figures) expect(median).toEqual(expect.any(Number));
    // No matter of speed.
    expect(figures.find(({ figure }) => figure === 'core.query.bytes')).toMatchObject({ reached: true });
  });

  test('takes uplinks from the radio to the bus, and loses and doubles none', () => {
    const { code, lines } = bench('--quick', 'lora.uplinks', 'lora.latency', 'lora.sessions');
    expect(code).toBe(0);
    const figures = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(figures.map(({ figure }) => figure)).toEqual([
      ...['uplinks', 'uplinks.lost', 'uplinks.doubled'].map((name) => `lora.${name}`),
      ...['latency', 'latency.lost', 'latency.doubled'].map((name) => `lora.${name}`),
      ...['sessions', 'sessions.own', 'sessions.lost'].map((name) => `lora.${name}`),
    ]);
    for (const { median } of figures) expect(median).toEqual(expect.any(Number));
    for (const { figure, reached } of figures)
      if (/\.(?:lost|doubled)$/.test(String(figure))) expect(reached).toBe(true);
  });

  test('stores, fetches, and moves only what has changed', () => {
    const { code, lines } = bench('--quick', 'storage');
    expect(code).toBe(0);
    const figures = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(figures.map(({ figure }) => figure)).toEqual([
      ...['import', 'import.v0', 'import.tar', 'memory.import30', 'memory.fetch30', 'fetch.cold'].map(
        (name) => `storage.${name}`,
      ),
      ...['', '.paced', '.memory.giver', '.memory.taker'].map((name) => `storage.between-edges${name}`),
      ...['delta.code', 'delta.dependencies', 'delta.base', 'lies.accepted', 'piece'].map(
        (name) => `storage.${name}`,
      ),
    ]);
    for (const { figure, reference } of figures)
      if (/^storage\.(?:import|import\.v0|fetch\.cold)$/.test(String(figure)))
        expect(reference).toBe('absent');
    // No matter of speed.
    const [source, dependencies, base, lies] = figures.slice(-5);
    expect(source).toMatchObject({ reached: true });
    for (const delta of [source, dependencies, base]) {
      expect(delta?.['median']).toBeGreaterThan(0);
      expect(delta?.['median']).toBeLessThan(Number(delta?.['missingLayersMB']));
      expect(delta?.['missingLayersMB']).toBeLessThan(Number(delta?.['wholeTarMB']));
    }
    expect(lies).toMatchObject({ median: 0, reached: true });
    expect(lies?.['told']).toBe(1000);
  });

  test('names what there is where something else is asked for', () => {
    const { code, lines, err } = bench('speed');
    expect([code, lines]).toEqual([2, []]);
    expect(err).toContain('there is no benchmark speed');
    expect(err).toContain('takeover.hot');
  });
});
