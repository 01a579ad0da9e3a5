import type { Command } from 'commander';
import { createToken, listTokens, revoke, type TokenFlags } from './commands/token.ts';
import type { ConfigFlags } from './config.ts';
import type { OperatorCommandParts } from './operator-cli.ts';

const collect = (text: string, before: string[] = []): string[] => [...before, ...text.split(',')];

/** `antirio token create|list|revoke`: who may call this edge's services from elsewhere. */
export function addTokenCommands(program: Command, { forEdge, configOf }: OperatorCommandParts): void {
  const token = program.command('token').description("tokens for those who call this edge's services");
  forEdge(token.command('create').description('make one; it is shown once'))
    .requiredOption(
      '--scope <scope>',
      '<service>:read, <service>:write, *:read, *:write, operator or relay; several by commas or flags',
      collect,
    )
    .option('--expires <when>', '30m, 12h, 90d, or a date (default: never)')
    .option('--name <text>', 'what it is for')
    .option('--json', 'as JSON')
    .action(({ scope, expires, name, json, ...flags }: ConfigFlags & TokenFlags) =>
      createToken(configOf(flags), { scope, expires, name, json }),
    );
  forEdge(token.command('list').description('all of them, without what their bearers know'))
    .option('--json', 'as JSON')
    .action(({ json = false, ...flags }: ConfigFlags & { json?: boolean }) =>
      listTokens(configOf(flags), json),
    );
  forEdge(token.command('revoke <id>').description('one of them, at once')).action(
    (id: string, flags: ConfigFlags) => revoke(configOf(flags), id),
  );
}
