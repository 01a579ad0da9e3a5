import { z } from 'zod';
import { describeError, fromUtf8 } from '@antirio/kernel';
import { parseInput, type Bus, type Log, type Subscription } from '@antirio/host';
import type { Entrusting } from '../downlink/entrusting.ts';
import type { Session } from '../uplink/sessions.ts';
import { macPage, macQuery, type MacPagePorts } from './page.ts';

const asked = macQuery.extend({
  requestId: z.string().min(1).max(64),
  /** What our devices' own edge would have sent to them, to be sent here by this right to act. */
  given: z
    .object({
      under: z.string().min(1).max(160),
      queues: z.array(z.object({ session: z.string().max(16), queue: z.string().max(8192) })).max(1000),
    })
    .optional(),
});

type Given = NonNullable<z.output<typeof asked>['given']>;

/**
 * A service that stands in for a device's own edge is asked by the arbitrator of the edge that it runs on, over the bus. It tells of
 * devices to which it spoke, or was to send something: of any other its own edge may know something newer than what this service began
 * with.
 */
export async function openMacTelling(
  ports: MacPagePorts & {
    readonly entrusting: Pick<Entrusting, 'take' | 'wordOf'>;
    /** Something is to be sent to a device. */
    readonly onTaken: (session: Session) => void;
    readonly bus: Bus;
    readonly prefix: string;
    readonly log: Log;
  },
): Promise<Subscription> {
  const { bus, prefix, log, entrusting, mac, sessions, devices } = ports;
  const take = ({ under, queues }: Given): void => {
    const sealed = new Map(queues.map(({ session, queue }) => [session, queue]));
    for (const { devEui } of devices)
      for (const session of sessions()?.sessionsOf(devEui) ?? []) {
        const queue = sealed.get(session.id);
        if (queue !== undefined && entrusting.take(session, queue, under) > 0) ports.onTaken(session);
      }
  };
  const told = {
    of: (session: Session): boolean =>
      mac.stateOf(session).spokenTo === true || entrusting.wordOf(session) !== undefined,
    queueOf: (session: Session) => entrusting.wordOf(session),
  };
  return bus.subscribe(`${prefix}antirio/mac/asked`, async (_topic, payload) => {
    try {
      const { requestId, given, ...query } = parseInput(asked, JSON.parse(fromUtf8(payload)));
      // without keys nothing can be taken: it is given again
      const hasTaken = given !== undefined && sessions() !== undefined;
      if (hasTaken) take(given);
      const answer = { requestId, ...macPage(ports, query, told), ...(hasTaken ? { hasTaken } : {}) };
      await bus.publish(`${prefix}antirio/mac/told`, JSON.stringify(answer));
    } catch (error) {
      log.warn({ error: describeError(error) }, 'how devices listen cannot be told');
    }
  });
}
