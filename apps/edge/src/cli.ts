import { Command, InvalidArgumentError, Option } from 'commander';
import { AntirioError } from '@antirio/kernel';
import { readConfig, type ConfigFlags, type EdgeConfig } from './config.ts';
import { listContracts, requestContract, showContract } from './commands/contract.ts';
import { demo } from './commands/demo.ts';
import { doctor } from './commands/doctor.ts';
import { printConfigReference } from './commands/config-reference.ts';
import { init } from './commands/init.ts';
import {
  listLoraConflicts,
  listLoraDevices,
  listLoraSessions,
  loraDownlink,
  type ConflictFlags,
  type DownlinkFlags,
} from './commands/lora.ts';
import { status } from './commands/status.ts';
import { up } from './commands/up.ts';
import { roomNamed, roomNames, roomsOf, type RunnableRoom } from './loaders.ts';
import { addOperatorCommands } from './operator-cli.ts';
import { addStorageCommands } from './storage-cli.ts';
import { addTokenCommands } from './token-cli.ts';

const VERSION = '0.1.0';

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return value;
  };
}

/** Flags that say which edge is meant. */
function forEdge(command: Command): Command {
  return command
    .option('--config <file>', 'configuration (default: antirio.jsonc in the data folder)')
    .option('--data-dir <folder>', 'where everything durable is kept (default: antirio-data)')
    .option('--port-offset <n>', 'added to every port', integer(0, 5000))
    .option('--bind <address>', 'address to listen on (default: 127.0.0.1)')
    .addOption(new Option('--role <role>', 'edge (default), or central').choices(['edge', 'central']));
}

function running(command: Command): Command {
  return forEdge(command)
    .addOption(
      new Option('--log-level <level>').choices(['trace', 'debug', 'info', 'warn', 'error', 'silent']),
    )
    .option('--json', 'say in one line of JSON that all is started');
}

interface JsonFlag {
  readonly json?: boolean;
}

function configOf({ json: _json, ...flags }: ConfigFlags & JsonFlag): EdgeConfig {
  return readConfig(flags);
}

function named(names: readonly string[]): RunnableRoom[] {
  return [...new Set(names)].map((name) => {
    const room = roomNamed(name);
    if (room !== undefined) return room;
    throw new AntirioError(
      'invalidInput',
      `there is no service ${name}; there are: ${roomNames().join(' ')}`,
    );
  });
}

function addContractCommands(program: Command): void {
  const contract = program.command('contract').description('contracts of this edge');
  forEdge(contract.command('list').description('all of them'))
    .option('--json', 'as JSON')
    .action((flags: ConfigFlags & JsonFlag) => listContracts(configOf(flags), flags.json === true));
  forEdge(contract.command('show <id>').description('one of them, with what happened in it'))
    .option('--json', 'as JSON')
    .action((id: string, flags: ConfigFlags & JsonFlag) =>
      showContract(configOf(flags), id, flags.json === true),
    );
  forEdge(contract.command('request').description('have a service of this edge insured by another edge'))
    .requiredOption('--image <name>', 'name of the image')
    .requiredOption('--file <name>', "its archive in the data folder's images")
    .option('--days <n>', 'how long it is to be stored', integer(1, 3650), 7)
    .option(
      '--i-trust-the-provider-with-my-keys',
      'where the policy says `autonomous`: the provider has all keys from the signature on',
    )
    .action(({ image, file, days, iTrustTheProviderWithMyKeys, ...flags }: ConfigFlags & RequestFlags) =>
      requestContract(configOf(flags), {
        ...{ imageName: image, fileName: file, days },
        ...(iTrustTheProviderWithMyKeys === true && { iTrustTheProviderWithMyKeys }),
      }),
    );
}

interface RequestFlags {
  readonly image: string;
  readonly file: string;
  readonly days: number;
  readonly iTrustTheProviderWithMyKeys?: true;
}

function addLoraCommands(program: Command): void {
  const lora = program.command('lora').description('LoRaWAN devices of this edge');
  forEdge(lora.command('devices').description('all of them, with their last reception'))
    .option('--json', 'as JSON')
    .action((flags: ConfigFlags & JsonFlag) => listLoraDevices(configOf(flags), flags.json === true));
  forEdge(lora.command('sessions').description('their sessions, without keys'))
    .option('--json', 'as JSON')
    .action((flags: ConfigFlags & JsonFlag) => listLoraSessions(configOf(flags), flags.json === true));
  forEdge(
    lora
      .command('conflicts <device>')
      .description('its genuine frames that are no readings: others are stored under their counters'),
  )
    .option('--seen', 'they are looked after: their alarm ends')
    .option('--json', 'as JSON')
    .action((device: string, { seen = false, json = false, ...flags }: ConfigFlags & ConflictFlags) =>
      listLoraConflicts(configOf(flags), device, { seen, json }),
    );
  forEdge(
    lora
      .command('downlink <device> [payload]')
      .description('queue a downlink of these bytes (hex), or tell what became of the newest ones'),
  )
    .option('--port <n>', 'FPort', integer(1, 223), 1)
    .option('--confirmed', 'until the device acknowledges it')
    .option(
      '--contract <id>',
      'by its provider, which serves the device; encrypted here, as that may have no AppSKey',
    )
    .option(
      '--keys <file>',
      "with --contract: sessions as in device-lora's secrets; the device is its DevEUI then",
    )
    .option('--wait <s>', 'with --contract: tell what becomes of it', integer(0, 86_400), 0)
    .option('--json', 'as JSON')
    .action(
      async (
        device: string,
        payload: string | undefined,
        { port, confirmed, contract, keys, wait, ...flags }: ConfigFlags & DownlinkFlags,
      ) => {
        const how = { port, confirmed, contract, keys, wait, json: flags.json === true };
        process.exitCode = await loraDownlink(configOf(flags), device, payload, how);
      },
    );
}

/** The `antirio` command. Its actions end the process themselves where they must; else with the code that they set. */
export function createProgram(): Command {
  const program = new Command('antirio')
    .description('fault-tolerant edge: EdgeX-compatible services, insured by neighbours')
    .version(VERSION)
    .showHelpAfterError('(antirio --help tells more)');
  forEdge(program.command('init').description('make an identity and a commented configuration')).action(init);
  const config = program.command('config').description('of this edge: what may stand in it');
  config
    .command('reference')
    .description('every option of every service, as a page of Markdown')
    .action(printConfigReference);
  running(program.command('up').description('run all services of an edge in this process')).action(
    (flags: ConfigFlags & JsonFlag) => {
      const config = configOf(flags);
      return up(config, roomsOf(config.role), flags);
    },
  );
  running(program.command('serve <service...>').description('run just these services')).action(
    (names: string[], flags: ConfigFlags & JsonFlag) => up(configOf(flags), named(names), flags),
  );
  forEdge(program.command('status').description('ask every service how it is'))
    .option('--json', 'as JSON')
    .action(async (flags: ConfigFlags & JsonFlag) => {
      const config = configOf(flags);
      process.exitCode = await status(config, roomsOf(config.role), flags.json === true);
    });
  forEdge(
    program.command('doctor').description('look at all that an edge needs, up or down, and say what to do'),
  )
    .option('--json', 'as JSON')
    .action(async (flags: ConfigFlags & JsonFlag) => {
      process.exitCode = await doctor(() => configOf(flags), roomsOf, flags.json === true);
    });
  addContractCommands(program);
  addOperatorCommands(program, { forEdge, configOf });
  addTokenCommands(program, { forEdge, configOf });
  addLoraCommands(program);
  addStorageCommands(program, { forEdge, configOf, integer });
  program
    .command('demo')
    .description('two edges, real LoRaWAN frames, one failure, nothing lost (antirio demo --help)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[flags...]')
    .action(async (flags: string[]) => {
      process.exitCode = await demo(flags);
    });
  return program;
}
