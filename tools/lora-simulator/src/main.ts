// lora-simulator --config sim.json [--log truth.jsonl] [--export-devices devices.json] [--start]
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { SimulatorConfigInput } from './config.ts';
import type { SimulatorEvent } from './commands.ts';
import type { Simulator } from './simulator.ts';
import { execute, parseCommand } from './commands.ts';
import { parseConfig } from './config.ts';
import { devicesOf } from './devices.ts';
import { SimulatorError } from './errors.ts';
import { createSimulator } from './simulator.ts';
import { noTruthLog, openTruthLog } from './truth.ts';

const { values: options } = parseArgs({
  options: {
    config: { type: 'string' },
    log: { type: 'string' },
    'export-devices': { type: 'string' },
    start: { type: 'boolean', default: false },
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
  const truth = options.log === undefined ? noTruthLog : openTruthLog(options.log);
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

async function main(): Promise<void> {
  const config = readConfig();
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
