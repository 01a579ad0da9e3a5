import type { Command } from 'commander';
import type { ConfigFlags, EdgeConfig } from './config.ts';
import {
  drill,
  fetchKept,
  giveBack,
  handOver,
  hold,
  listAlarms,
  takeOver,
  why,
} from './commands/operator.ts';

export interface OperatorCommandParts {
  readonly forEdge: (command: Command) => Command;
  readonly configOf: (flags: ConfigFlags) => EdgeConfig;
}

type ForceFlags = ConfigFlags & { force?: boolean; key?: string };
const KEY = '--key <file>';
const KEY_TEXT = "identity file of an operator, whose id is in the arbitrator's operatorKeys";

/** What an operator does at night: `antirio why`, `handover`, `hold`, `drill`, `return`, `takeover`, `fetch`, `alarms`. */
export function addOperatorCommands(program: Command, { forEdge, configOf }: OperatorCommandParts): void {
  forEdge(
    program.command('why <device>').description('who acts for a device, since when, and on what evidence'),
  ).action((device: string, flags: ConfigFlags) => why(configOf(flags), device));
  forEdge(program.command('alarms').description('what is wrong at this edge, with the page that helps'))
    .option('--json', 'as JSON')
    .action(({ json = false, ...flags }: ConfigFlags & { json?: boolean }) =>
      listAlarms(configOf(flags), json),
    );
  forEdge(
    program.command('handover <contract>').description('give our service to the provider, which reads first'),
  )
    .requiredOption('--planned', 'the only kind that a living edge asks for')
    .action((contract: string, { planned: _planned, ...flags }: ConfigFlags & { planned: boolean }) =>
      handOver(configOf(flags), contract),
    );
  forEdge(program.command('hold <contract>').description('nothing is taken over, or comes back, by itself'))
    .option('--off', 'no longer so')
    .action((contract: string, { off = false, ...flags }: ConfigFlags & { off?: boolean }) =>
      hold(configOf(flags), contract, !off),
    );
  forEdge(
    program.command('drill <contract>').description('a takeover without a failure, with keys of its own'),
  )
    .option('--full', 'with the real keys: the provider serves for a while, and the keys are exposed')
    .action((contract: string, { full = false, ...flags }: ConfigFlags & { full?: boolean }) =>
      drill(configOf(flags), contract, full),
    );
  forEdge(
    program
      .command('fetch <contract>')
      .description('after the loss of our disk: what the provider of an ended contract keeps for us'),
  )
    .option('--partly', 'though not all of its sensors are set up here')
    .action((contract: string, { partly = false, ...flags }: ConfigFlags & { partly?: boolean }) =>
      fetchKept(configOf(flags), contract, partly),
    );
  forEdge(program.command('return <contract>').description('take our service back from the provider'))
    .option('--force', 'held or not, at once; never past the fence')
    .option(KEY, KEY_TEXT)
    .action((contract: string, { force = false, key, ...flags }: ForceFlags) =>
      giveBack(configOf(flags), contract, { force, key }),
    );
  forEdge(
    program
      .command('takeover <contract>')
      .description('take a customer over without waiting for our detector'),
  )
    .requiredOption('--force', 'the witness is asked, and lease and epoch hold, all the same')
    .option(KEY, KEY_TEXT)
    .action((contract: string, { force: _force, key, ...flags }: ForceFlags) =>
      takeOver(configOf(flags), contract, key),
    );
}
