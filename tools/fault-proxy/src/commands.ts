import { z } from 'zod';
import type { CutInput, LinkOptionsInput } from './faults.ts';
import type { FaultProxy, LinkSelector } from './proxy.ts';
import { FaultProxyError } from './errors.ts';

// Links, cuts and faults are checked where they are used: here only that they are there.
const name = z.string().min(1);
const selector = { link: name.optional(), group: name.optional(), all: z.literal(true).optional() };

const commandSchema = z.discriminatedUnion('cmd', [
  z.strictObject({ cmd: z.literal('add'), link: z.looseObject({}) }),
  z.strictObject({ cmd: z.literal('remove'), link: name }),
  z.strictObject({
    cmd: z.literal('cut'),
    ...selector,
    direction: z.string().optional(),
    mode: z.string().optional(),
    onHeal: z.string().optional(),
  }),
  z.strictObject({
    cmd: z.literal('set'),
    ...selector,
    faults: z.looseObject({}),
    direction: z.enum(['both', 'toTarget', 'toClient']).optional(),
  }),
  z.strictObject({ cmd: z.literal('heal'), ...selector }),
  z.strictObject({
    cmd: z.literal('retarget'),
    link: name,
    host: name,
    port: z.int().min(1).max(65_535),
  }),
  z.strictObject({ cmd: z.literal('status') }),
  z.strictObject({ cmd: z.literal('quit') }),
]);

/** One line on stdin. */
export type ProxyCommand = z.output<typeof commandSchema>;

/** One line on stdout. */
export interface ProxyEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Reads a command line. Throws `badCommand`. */
export function parseCommand(line: string): ProxyCommand {
  try {
    return commandSchema.parse(JSON.parse(line));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new FaultProxyError('badCommand', reason, { cause: error });
  }
}

function selectorOf(command: { link?: string; group?: string; all?: true }): LinkSelector {
  const { link, group, all } = command;
  if ([link, group, all].filter((part) => part !== undefined).length !== 1) {
    throw new FaultProxyError('badCommand', 'say one of link, group, all');
  }
  if (link !== undefined) return { link };
  return group === undefined ? { all: true } : { group };
}

/** Does a command, and gives the event that reports it. Throws what the proxy throws. */
export async function execute(proxy: FaultProxy, command: ProxyCommand): Promise<ProxyEvent> {
  const done = { event: command.cmd };
  switch (command.cmd) {
    case 'add':
      return { ...done, link: await proxy.addLink(command.link as LinkOptionsInput) };
    case 'remove':
      await proxy.removeLink(command.link);
      return { ...done, link: command.link };
    case 'cut': {
      const { cmd: _, link, group, all, ...cut } = command;
      proxy.cut(selectorOf({ link, group, all }), cut as CutInput);
      return done;
    }
    case 'set':
      proxy.setFaults(selectorOf(command), command.faults, command.direction);
      return done;
    case 'heal':
      proxy.heal(selectorOf(command));
      return done;
    case 'retarget':
      await proxy.retarget(command.link, command.host, command.port);
      return { ...done, link: command.link };
    case 'status':
      return { ...done, links: proxy.status() };
    case 'quit':
      return done;
  }
}
