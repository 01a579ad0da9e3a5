import { userInfo } from 'node:os';
import { z } from 'zod';
import { parseInput, readIdentityFile } from '@antirio/host';
import { AntirioError, signDocument } from '@antirio/kernel';
import type { EdgeConfig } from '../config.ts';
import { textTable } from '../text-table.ts';
import { askRoom, print } from './ask-room.ts';

/** As the arbitrator checks it. */
const FORCE_KIND = 'antirio/force/1';
const challengeView = z.object({ challenge: z.string() });
const alarmsView = z.object({
  alarms: z.array(
    z.object({
      name: z.string(),
      about: z.string(),
      detail: z.string(),
      since: z.number(),
      runbook: z.string(),
    }),
  ),
});

export interface Forced {
  /** An identity file whose id is in the arbitrator's `operatorKeys`. */
  readonly key: string;
}

const pathOf = (contractId: string, act: string): string =>
  `/arbitrator/v1/operator/${encodeURIComponent(contractId)}/${act}`;

async function tell(config: EdgeConfig, contractId: string, act: string, json: object): Promise<void> {
  const by = userInfo().username.slice(0, 64);
  const path = pathOf(contractId, act);
  print(JSON.stringify(await askRoom('arbitrator', config, { method: 'POST', path, json: { ...json, by } })));
}

/** The second of two confirmations; the first is the edge's own. */
async function confirm(
  config: EdgeConfig,
  contractId: string,
  act: string,
  { key }: Forced,
): Promise<object> {
  const path = pathOf(contractId, 'challenge');
  const { challenge } = parseInput(challengeView, await askRoom('arbitrator', config, { path }));
  return signDocument(readIdentityFile(key), FORCE_KIND, { contractId, act, challenge });
}

function keyOf(key: string | undefined): Forced {
  if (key !== undefined) return { key };
  throw new AntirioError('invalidInput', '--force takes --key <identity file of an operator>');
}

/** Make before break: the provider reads before this edge releases its epoch. */
export function handOver(config: EdgeConfig, contractId: string): Promise<void> {
  return tell(config, contractId, 'handover', { planned: true });
}

export function hold(config: EdgeConfig, contractId: string, held: boolean): Promise<void> {
  return tell(config, contractId, 'hold', { held });
}

/**
 * The provider shows that it would take over: with a session of the drill's own, beside the service, which goes on. `full`: the service
 * itself goes to the provider by our word, is served there, and comes back.
 */
export function drill(config: EdgeConfig, contractId: string, full: boolean): Promise<void> {
  return tell(config, contractId, 'drill', full ? { full } : {});
}

/** What the provider of our ended contract keeps for us comes once more: for a disk that was lost. `partly`: of the sensors that are set up. */
export function fetchKept(config: EdgeConfig, contractId: string, partly: boolean): Promise<void> {
  return tell(config, contractId, 'fetch', partly ? { partly } : {});
}

export async function giveBack(
  config: EdgeConfig,
  contractId: string,
  flags: { readonly force: boolean; readonly key?: string | undefined },
): Promise<void> {
  const force = flags.force ? await confirm(config, contractId, 'return', keyOf(flags.key)) : undefined;
  await tell(config, contractId, 'return', force === undefined ? {} : { force });
}

export async function takeOver(
  config: EdgeConfig,
  contractId: string,
  key: string | undefined,
): Promise<void> {
  await tell(config, contractId, 'takeover', {
    force: await confirm(config, contractId, 'takeover', keyOf(key)),
  });
}

/** Who acts for a device, since when, and why. */
export async function why(config: EdgeConfig, device: string): Promise<void> {
  const path = `/arbitrator/v1/why/${encodeURIComponent(device)}`;
  print(JSON.stringify(await askRoom('arbitrator', config, { path }), undefined, 2));
}

export async function listAlarms(config: EdgeConfig, json: boolean): Promise<void> {
  const found = await askRoom('arbitrator', config, { path: '/arbitrator/v1/alarm' });
  const { alarms } = parseInput(alarmsView, found);
  if (json) print(JSON.stringify(found));
  else if (alarms.length === 0) print('no alarms');
  else {
    const rows = alarms.map(({ name, about, since, detail, runbook }) => [
      name,
      about,
      new Date(since).toISOString(),
      detail,
      runbook,
    ]);
    print(textTable([['ALARM', 'ABOUT', 'SINCE', 'WHAT', 'RUNBOOK'], ...rows]));
  }
}
