import { systemClock, waitFor } from '@antirio/host';
import { docker, run, type Ran } from './engine.ts';

/** Containers of a test, by the engine that `DOCKER_HOST` names; all gone at its end. */
export class Containers {
  readonly #started: string[] = [];

  /** Starts one of an image, without network and with as few rights as there are, and gives its name. */
  async start(image: string, flags: readonly string[], command: readonly string[] = []): Promise<string> {
    const name = `antirio-test-${process.pid}-${this.#started.length}`;
    this.#started.push(name);
    const few = ['--network', 'none', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
    await docker(['run', '--detach', '--name', name, '--read-only', ...few, ...flags, image, ...command]);
    return name;
  }

  /** Until its health check says so. */
  async healthy(name: string): Promise<void> {
    const status = await waitFor(systemClock, 60_000, async () => {
      const told = await docker(['inspect', '--format', '{{.State.Status}} {{.State.Health.Status}}', name]);
      return told === 'running starting' ? undefined : told;
    });
    if (status !== 'running healthy') throw new Error(`${name} is ${status}: ${await this.logOf(name)}`);
  }

  async logOf(name: string): Promise<string> {
    const { out, err } = await run('docker', ['logs', name]);
    return out + err;
  }

  /** Waits for its end. */
  async ended(name: string): Promise<Pick<Ran, 'code' | 'err'>> {
    const code = Number(await docker(['wait', name]));
    return { code, err: await this.logOf(name) };
  }

  async removeAll(): Promise<void> {
    await Promise.all(this.#started.map((name) => run('docker', ['rm', '--force', '--volumes', name])));
  }
}
