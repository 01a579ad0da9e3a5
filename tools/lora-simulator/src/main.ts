// lora-simulator --config sim.json [--log truth.jsonl [--log-max-mb 64]] [--export-devices devices.json] [--start]
// lora-simulator --config sim.json --replay trace.jsonl [--speed 10] [--keep-tmst]
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import type { ReadStream } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { SimulatorConfigInput } from './config.ts';
import type { SimulatorEvent } from './commands.ts';
import type { Simulator } from './simulator.ts';
import { execute, parseCommand } from './commands.ts';
import { parseConfig } from './config.ts';
import { devicesOf } from './devices.ts';
import { SimulatorError } from './errors.ts';
import { replay } from './replay.ts';
import { createSimulator } from './simulator.ts';
import { noTruthLog, openTruthLog } from './truth.ts';

const { values: options } = parseArgs({
  options: {
    config: { type: 'string' },
    log: { type: 'string' },
    'export-devices': { type: 'string' },
    'log-max-mb': { type: 'string' },
    start: { type: 'boolean', default: false },
    replay: { type: 'string' },
    speed: { type: 'string', default: '1' },
    'keep-tmst': { type: 'boolean', default: false },
  },
});

const print = (event: SimulatorEvent): void => {
  process.stdout.write(`${JSON.stringify(event)}\n`);
};

const printError = (error: unknown, cmd?: string): void => {
  const code = error instanceof SimulatorError ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  print({ event: 'error', code, message, ...(cmd !== undefined && { cmd }) });
};

function readConfig(): SimulatorConfigInput {
  if (options.config === undefined) throw new SimulatorError('badConfig', '--config FILE is missing');
  try {
    return JSON.parse(readFileSync(options.config, 'utf8')) as SimulatorConfigInput;
  } catch (error) {
    throw new SimulatorError('badConfig', `${options.config}: ${String(error)}`, { cause: error });
  }
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new SimulatorError('badConfig', `--${name} must be a number above 0, got ${text}`);
  return value;
}

// Only a stop of traffic takes long; all else is answered in order.
async function obey(simulator: Simulator, line: string): Promise<'quit' | undefined> {
  try {
    const command = parseCommand(line);
    if (command.cmd === 'stopTraffic') {
      void execute(simulator, command).then(print, (error: unknown) => printError(error, command.cmd));
      return undefined;
    }
    print(await execute(simulator, command));
    return command.cmd === 'quit' ? 'quit' : undefined;
  } catch (error) {
    printError(error);
    return undefined;
  }
}

async function run(config: SimulatorConfigInput): Promise<void> {
  const maxBytes = 1e6 * numberOf('log-max-mb', options['log-max-mb'] ?? 'Infinity');
  const truth = options.log === undefined ? noTruthLog : openTruthLog(options.log, maxBytes);
  const simulator = await createSimulator(config, { truth });
  const commands = createInterface({ input: process.stdin });
  const end = (): void => commands.close();
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  // Whoever started us is gone: there is nobody left to simulate for.
  process.stdout.once('error', end);
  print({ event: 'ready', pid: process.pid, motes: simulator.devices.length });
  if (options.start) print(await execute(simulator, { cmd: 'start' }));
  for await (const line of commands) {
    if (line.trim() !== '' && (await obey(simulator, line)) === 'quit') break;
  }
  simulator.close();
}

// Ends with its trace: whatever standard input says, there is nothing else to obey than a signal.
async function runReplay(config: SimulatorConfigInput, file: string): Promise<void> {
  if (options.log !== undefined) throw new SimulatorError('badConfig', '--log: a replay has no truth to log');
  const speed = numberOf('speed', options.speed);
  const abort = new AbortController();
  process.once('SIGTERM', () => abort.abort());
  process.once('SIGINT', () => abort.abort());
  const lines = createInterface({ input: await openTrace(file), crlfDelay: Infinity });
  const report = await replay(config, lines, { speed, keepTmst: options['keep-tmst'], signal: abort.signal });
  print({ event: 'replayed', ...report });
}

async function openTrace(file: string): Promise<ReadStream> {
  const stream = createReadStream(file, 'utf8');
  try {
    await once(stream, 'open');
    return stream;
  } catch (error) {
    throw new SimulatorError('badTrace', `${file}: ${String(error)}`, { cause: error });
  }
}

async function main(): Promise<void> {
  const config = readConfig();
  if (options.replay !== undefined) return runReplay(config, options.replay);
  const exportFile = options['export-devices'];
  if (exportFile !== undefined) {
    const devices = devicesOf(parseConfig(config));
    writeFileSync(exportFile, `${JSON.stringify(devices, undefined, 2)}\n`, { mode: 0o600 });
    if (options.log === undefined) return;
  }
  await run(config);
}

try {
  await main();
  // Standard input may still be open, and is of no more use.
  process.stdin.destroy();
} catch (error) {
  printError(error);
  process.exitCode = 1;
  process.stdin.destroy();
}
