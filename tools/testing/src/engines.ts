import { request, type RequestOptions } from 'node:http';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { isSaidAbsent, testWhen } from './test-when.ts';

/** How a container engine keeps its images: by a graph driver of its own (overlay2, vfs), or in containerd. */
export type ImageStore = 'graph driver' | 'containerd';

/** A container engine for tests. */
export interface TestEngine {
  readonly store: ImageStore;
  /** As `DOCKER_HOST` names it; empty where none has that store. */
  readonly host: string;
  readonly isThere: boolean;
}

const USUAL = 'unix:///var/run/docker.sock';
/** Names the engine that keeps images in containerd. */
const SECOND = 'CONTAINERD_DOCKER_HOST';
const ANSWER_MS = 10_000;

/** What node:http needs for an engine's address. */
function addressOf(host: string): RequestOptions {
  const socketPath = /^unix:\/\/(.+)$/.exec(host)?.[1];
  if (socketPath !== undefined) return { socketPath };
  const { hostname, port } = new URL(host.replace(/^tcp:/, 'http:'));
  return { host: hostname, port };
}

function infoOf(host: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...addressOf(host), path: '/info', timeout: ANSWER_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve(JSON.parse(text) as Record<string, unknown>));
      response.on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer')));
    asked.on('error', reject);
    asked.end();
  });
}

async function storeOf(host: string): Promise<ImageStore | undefined> {
  const info = await infoOf(host).catch(() => undefined);
  if (info === undefined) return undefined;
  // Engine API, SystemInfo.DriverStatus: pairs, of which one says so.
  const isContainerd = JSON.stringify(info['DriverStatus'] ?? []).includes('io.containerd.snapshotter');
  return isContainerd ? 'containerd' : 'graph driver';
}

/**
 * The engine that `DOCKER_HOST` names or the one of this machine, and the one that `CONTAINERD_DOCKER_HOST` names, by their stores;
 * one of each, there or not.
 */
export async function findEngines(): Promise<TestEngine[]> {
  const second = isSaidAbsent(SECOND) ? '' : (process.env[SECOND] ?? '');
  const named = [process.env['DOCKER_HOST'] ?? USUAL, second].filter((host) => host !== '');
  const found = await Promise.all(named.map(async (host) => ({ host, store: await storeOf(host) })));
  return (['graph driver', 'containerd'] as const).map((store) => {
    const host = found.find((engine) => engine.store === store)?.host;
    return { store, host: host ?? '', isThere: host !== undefined };
  });
}

type EngineTest = ReturnType<typeof testWhen>;

/** Whether whoever runs the tests has said that there is no such engine. */
const isLeftOut = ({ store, isThere }: TestEngine): boolean =>
  store === 'containerd' && !isThere && isSaidAbsent(SECOND);

/** Skipped without the engine. */
function testOf({ store, isThere }: TestEngine): EngineTest {
  const which = store === 'containerd' ? ' with containerd’s image store' : '';
  return testWhen(isThere, `no container engine${which} answers`);
}

/**
 * The same tests with each of the engines. While they run `DOCKER_HOST` names theirs: clients are to be made in a `beforeAll` or in the
 * tests, not before. Left out, with all that is around them, for an engine of which it was said that there is none.
 */
export function onEachEngine(
  engines: readonly TestEngine[],
  suite: (test: EngineTest, engine: TestEngine) => void,
): void {
  for (const engine of engines.filter((each) => !isLeftOut(each))) {
    const engineTest = testOf(engine);
    describe(`an engine whose images are in ${engine.store === 'containerd' ? 'containerd' : 'a graph driver'}`, () => {
      const usual = process.env['DOCKER_HOST'];
      beforeAll(() => {
        if (engine.isThere) process.env['DOCKER_HOST'] = engine.host;
      });
      afterAll(() => {
        if (usual === undefined) delete process.env['DOCKER_HOST'];
        else process.env['DOCKER_HOST'] = usual;
      });
      suite(engineTest, engine);
    });
  }
}
