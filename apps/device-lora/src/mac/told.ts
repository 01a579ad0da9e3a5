import { z } from 'zod';
import { describeError, fromUtf8 } from '@antirio/kernel';
import { parseInput, type Bus, type Log, type Subscription } from '@antirio/host';
import { macPage, macQuery, type MacPagePorts } from './page.ts';

const asked = macQuery.extend({ requestId: z.string().min(1).max(64) });

/**
 * A service that stands in for a device's own edge is asked by the arbitrator of the edge that it runs on, over the bus. It tells of
 * devices to which it spoke: of any other its own edge may know something newer than what this service began with.
 */
export async function openMacTelling(
  ports: MacPagePorts & { readonly bus: Bus; readonly prefix: string; readonly log: Log },
): Promise<Subscription> {
  const { bus, prefix, log } = ports;
  return bus.subscribe(`${prefix}antirio/mac/asked`, async (_topic, payload) => {
    try {
      const { requestId, ...query } = parseInput(asked, JSON.parse(fromUtf8(payload)));
      const told = JSON.stringify({
        requestId,
        ...macPage(ports, query, ({ spokenTo = false }) => spokenTo),
      });
      await bus.publish(`${prefix}antirio/mac/told`, told);
    } catch (error) {
      log.warn({ error: describeError(error) }, 'how devices listen cannot be told');
    }
  });
}
