import type { Device } from '@antirio/lora-simulator';
import { z } from 'zod';
import type { PartyNode } from './nodes.ts';
import { gatewayOf } from './radio.ts';
import { rest } from './rest.ts';
import { draw, waitFollowing, type ContractedRun } from './run.ts';

/** Sensors that get a downlink in each act: enough that radio loss does not hide them all. */
const SENSORS = 3;
const ON_AIR_MS = 90_000;
/** The writable resource of the demo's device profile, sent as a confirmed downlink. */
export const DOWNLINK_COMMAND = 'interval';

const answerSchema = z.looseObject({});

/** The customer's first downlinks of its own. */
export const OWN_ACT = 'own';

function sensorsFor(run: ContractedRun, act: string): Device[] {
  const { devices } = run;
  const first = Math.floor(draw(run, `downlinks/${act}`, 0, devices.length));
  return Array.from(
    { length: Math.min(SENSORS, devices.length) },
    (_, i) => devices[(first + i * 7) % devices.length],
  ).filter((device) => device !== undefined);
}

async function command(node: PartyNode, name: string, value: number): Promise<string | undefined> {
  const url = `${node.url('coreCommand')}/api/v3/device/name/${encodeURIComponent(name)}/${DOWNLINK_COMMAND}`;
  try {
    await rest(answerSchema, url, {
      method: 'PUT',
      json: { [DOWNLINK_COMMAND]: String(value) },
      timeoutMs: 2_000,
    });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Sends a confirmed downlink to a few sensors through an edge's core-command, as an application would. At a provider the
 * sensors' names carry the contract's id.
 *
 * @returns how many were taken, and why the others were refused, in words
 */
export async function sendDownlinks(
  run: ContractedRun,
  node: PartyNode,
  act: string,
): Promise<{ readonly taken: number; readonly refused: readonly string[] }> {
  const prefix = node.party === 'a' ? '' : `${run.contractId}.`;
  const outcomes = await Promise.all(
    sensorsFor(run, act).map(({ name }, i) => command(node, `${prefix}${name}`, 60 + i)),
  );
  const refused = outcomes.filter((outcome) => outcome !== undefined);
  return { taken: outcomes.length - refused.length, refused };
}

/** Sends downlinks until the edge's gateway has put at least one on air, which its fence must have let through. */
export async function downlinksOnAir(
  run: ContractedRun,
  node: PartyNode,
  act: string,
  withinMs = ON_AIR_MS,
): Promise<void> {
  const { truth, waiter } = run;
  const gateway = gatewayOf(node.party) ?? '';
  truth.update();
  const before = truth.downlinksFrom(gateway);
  let sentAt = -Infinity;
  let refused: readonly string[] = [];
  await waitFollowing<true>(run, {
    subject: `a downlink of ${node.title} is on air`,
    withinMs,
    everyMs: 200,
    look: async () => {
      truth.update();
      const onAir = truth.downlinksFrom(gateway) - before;
      if (onAir > 0) return { found: true };
      if (waiter.now() - sentAt > AGAIN_MS) {
        sentAt = waiter.now();
        ({ refused } = await sendDownlinks(run, node, act));
      }
      return { seen: refused[0] ?? 'asked for, not on air yet' };
    },
  });
  waiter.stage.milestone(`${node.title}: confirmed downlink on air`);
}

const AGAIN_MS = 8_000;
