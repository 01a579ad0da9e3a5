import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import type { MacHome } from './home.ts';
import type { DevEui } from '@antirio/lorawan';
import type { Entrusting } from '../downlink/entrusting.ts';
import { macPage, macQuery, type MacPagePorts } from './page.ts';

const answer = z.object({
  incarnation: z.string(),
  serial: z.int(),
  totalCount: z.int(),
  sessions: z.array(
    z.object({ session: z.string(), devEui: z.string(), state: z.unknown(), queue: z.string().optional() }),
  ),
});

const coming = z.strictObject({
  /** Whose epoch it was under which another edge served the devices. */
  setId: z.string().min(1).max(64),
  epoch: z.int().min(1),
  /** Wall ms: what cannot be told apart from what our own devices were told since is not taken later. */
  until: z.number().optional(),
  sessions: z
    .array(
      z.object({
        session: z.string().max(16),
        devEui: z.string().max(16),
        state: z.unknown(),
        /** What became of the downlinks that it was given, sealed. */
        queue: z.string().max(8192).optional(),
      }),
    )
    .max(1000),
  /** Whether this was told when the other edge could send no more. */
  isFinal: z.boolean().default(false),
  /** Devices of which nothing more will be told: what another edge was given to send to them it may have sent. */
  untold: z.array(z.string().max(16)).max(10_000).default([]),
});
const count = z.int();
const taken = z.object({ taken: count, behind: count, older: count, unknown: count, malformed: count });

/** How devices listen and send now, for whoever may have to go on with them, or had to; without keys. */
export function addMacRoutes(
  rim: HttpRim,
  ports: MacPagePorts & { readonly macHome: MacHome; readonly entrusting: Entrusting },
): void {
  const { macHome, entrusting, sessions } = ports;
  const bringHome = ({ sessions: told, isFinal, untold }: z.output<typeof coming>): void => {
    for (const { session: id, devEui, queue } of told) {
      const session = sessions()
        ?.sessionsOf(devEui.toLowerCase() as DevEui)
        .find((one) => one.id === id);
      if (session !== undefined && queue !== undefined) entrusting.bringHome(session, queue, isFinal);
    }
    entrusting.giveUp(untold.map((devEui) => devEui.toLowerCase() as DevEui));
  };
  const about = { summary: 'MAC layers of the sessions in use', query: macQuery, answer };
  rim.route('get', '/api/v3/lora/mac', about, ({ query }) =>
    macPage(ports, query, {
      of: () => true,
      queueOf: (session) => (query.queues === 'true' ? entrusting.listOf(session) : undefined),
    }),
  );
  const home = { summary: 'MAC layers as another edge left them', body: coming, answer: taken };
  rim.route('post', '/api/v3/lora/mac', home, ({ body }) => {
    const counts = macHome.take(body, body.sessions);
    bringHome(body);
    return counts;
  });
}
