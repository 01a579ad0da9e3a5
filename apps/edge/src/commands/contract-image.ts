import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { isAntirioError } from '@antirio/kernel';
import type { EdgeConfig } from '../config.ts';
import type { RoomKey } from '../rooms.ts';
import { askRoom } from './ask-room.ts';

const held = z.looseObject({ ok: z.boolean(), error: z.string().optional() }).optional();
const sentView = z.looseObject({
  imageCid: z.string(),
  state: z.string(),
  atProvider: z.looseObject({ state: z.string(), reason: z.string().optional() }).optional(),
  heldByProvider: held,
  previous: z.looseObject({ imageCid: z.string() }).optional(),
  previousHeld: held,
});

const version = z.looseObject({
  imageCid: z.string(),
  observed: z.string(),
  detail: z.string(),
});
const waiting = z.looseObject({ downlinks: z.number(), parked: z.number() });
const serviceView = version.extend({
  serviceStatus: z.looseObject({ waiting: waiting.optional() }).optional(),
  next: version.extend({ keepsData: z.boolean().optional() }).optional(),
  lastSwitch: z
    .looseObject({ to: z.string(), outcome: z.string(), reason: z.string().optional() })
    .optional(),
});

type Status = z.output<typeof serviceView>['serviceStatus'];

const because = (reason: string | undefined): string => (reason === undefined ? '' : ` (${reason})`);

function heldText(is: z.output<typeof held>): string {
  if (is === undefined) return 'not asked for yet';
  return is.ok ? 'held' : `not held${because(is.error)}`;
}

/** Undefined where the room knows nothing of it. */
export async function ifThere(room: RoomKey, config: EdgeConfig, path: string): Promise<unknown> {
  try {
    return await askRoom(room, config, { path });
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return undefined;
    throw error;
  }
}

function asCustomer(answer: unknown): string[] {
  const { imageCid, state, atProvider, heldByProvider, previous, previousHeld } = parseInput(
    sentView,
    answer,
  );
  const there =
    atProvider === undefined ? state : `${state}, there ${atProvider.state}${because(atProvider.reason)}`;
  const before =
    previous === undefined || previousHeld === undefined
      ? []
      : [`version before: ${previous.imageCid} ${heldText(previousHeld)}`];
  return [`image: ${imageCid} ${there}, ${heldText(heldByProvider)}`, ...before];
}

/** What a version that begins with nothing loses, as the one before tells it. */
function lossOf({ keepsData }: { keepsData?: boolean | undefined }, status: Status): string {
  if (keepsData !== false) return '';
  const has = status?.waiting;
  if (has === undefined) return '; begins with nothing, and what the one before has accepted is lost';
  return `; begins with nothing: ${has.downlinks} downlinks and ${has.parked} events are lost`;
}

function asProvider(answer: unknown): string[] {
  const { next, lastSwitch, ...current } = parseInput(serviceView, answer);
  const line = (what: string, one: z.output<typeof version>): string =>
    `${what}: ${one.imageCid} ${one.observed}, ${one.detail}`;
  return [
    line('image', current),
    ...(next === undefined ? [] : [line('next version', next) + lossOf(next, current.serviceStatus)]),
    ...(lastSwitch === undefined
      ? []
      : [`last change of versions: to ${lastSwitch.to} ${lastSwitch.outcome}${because(lastSwitch.reason)}`]),
  ];
}

/** How the image of a contract is, and its versions: at the provider as its customer knows it, or here. */
export async function imageLines(config: EdgeConfig, id: string, role: string): Promise<string[]> {
  const isCustomer = role === 'customer';
  const name = encodeURIComponent(id);
  const answer = isCustomer
    ? await ifThere('migration', config, `/migration/v1/contracts/${name}`)
    : await ifThere('orchestrator', config, `/orchestrator/v1/service/${name}`);
  if (answer === undefined) return [];
  return isCustomer ? asCustomer(answer) : asProvider(answer);
}
