// fault-proxy [--config links.json]: links to open at start, {"links": [...]}; commands on standard input.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { ProxyEvent } from './commands.ts';
import type { LinkOptionsInput } from './faults.ts';
import { execute, parseCommand } from './commands.ts';
import { FaultProxyError } from './errors.ts';
import { createFaultProxy } from './proxy.ts';

const configSchema = z.strictObject({ links: z.array(z.looseObject({})) });

const print = (event: ProxyEvent): void => {
  process.stdout.write(`${JSON.stringify(event)}\n`);
};

const printError = (error: unknown): void => {
  const code = error instanceof FaultProxyError ? error.code : 'internal';
  print({ event: 'error', code, message: error instanceof Error ? error.message : String(error) });
};

function readLinks(file: string | undefined): LinkOptionsInput[] {
  if (file === undefined) return [];
  try {
    return configSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).links as LinkOptionsInput[];
  } catch (error) {
    throw new FaultProxyError('badOptions', `${file}: ${String(error)}`, { cause: error });
  }
}

const proxy = createFaultProxy();
const commands = createInterface({ input: process.stdin });
const end = (): void => commands.close();
process.once('SIGTERM', end);
process.once('SIGINT', end);
// Whoever started us is gone: nobody is left to relay for.
process.stdout.once('error', end);

try {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  for (const link of readLinks(values.config)) await proxy.addLink(link);
  print({ event: 'ready', pid: process.pid, links: proxy.status() });
  for await (const line of commands) {
    try {
      if (line.trim() === '') continue;
      const command = parseCommand(line);
      print(await execute(proxy, command));
      if (command.cmd === 'quit') break;
    } catch (error) {
      printError(error);
    }
  }
} catch (error) {
  printError(error);
  process.exitCode = 1;
} finally {
  await proxy.close();
  // Standard input may still be open, and is of no more use.
  process.stdin.destroy();
}
