import { execFile } from 'node:child_process';
import { AntirioError } from '@antirio/kernel';
import type { OwnVolume } from '../options.ts';

export type HookName = 'quiesce' | 'resume' | 'stop' | 'start';

const WITHIN_MS = 30_000;
const MAX_OUTPUT = 64 << 10;

function run(name: HookName, [file = '', ...args]: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      { timeout: WITHIN_MS, maxBuffer: MAX_OUTPUT, killSignal: 'SIGKILL' },
      (error, _out, said) => {
        if (error === null) resolve();
        else
          reject(
            new AntirioError(
              'unavailable',
              `the command ${name} of a volume failed: ${said.trim().slice(0, 200)}`,
              {},
              error,
            ),
          );
      },
    );
  });
}

/** The operator's own commands, each once however many volumes name it, one after the other. @throws AntirioError unavailable */
export async function runHooks(name: HookName, volumes: readonly OwnVolume[]): Promise<void> {
  const commands = new Map(
    volumes.flatMap((volume) => {
      const command = volume[name];
      return command === undefined ? [] : [[command.join('\0'), command] as const];
    }),
  );
  for (const command of commands.values()) await run(name, command);
}
