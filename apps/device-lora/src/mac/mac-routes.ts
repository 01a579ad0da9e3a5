import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import type { MacHome } from './home.ts';
import { macPage, macQuery, type MacPagePorts } from './page.ts';

const answer = z.object({
  incarnation: z.string(),
  serial: z.int(),
  totalCount: z.int(),
  sessions: z.array(z.object({ session: z.string(), devEui: z.string(), state: z.unknown() })),
});

const coming = z.strictObject({
  /** Whose epoch it was under which another edge served the devices. */
  setId: z.string().min(1).max(64),
  epoch: z.int().min(1),
  /** Wall ms: what cannot be told apart from what our own devices were told since is not taken later. */
  until: z.number().optional(),
  sessions: z
    .array(z.object({ session: z.string().max(16), devEui: z.string().max(16), state: z.unknown() }))
    .max(1000),
});
const count = z.int();
const taken = z.object({ taken: count, behind: count, older: count, unknown: count, malformed: count });

/** How devices listen and send now, for whoever may have to go on with them, or had to; without keys. */
export function addMacRoutes(rim: HttpRim, ports: MacPagePorts & { readonly macHome: MacHome }): void {
  const about = { summary: 'MAC layers of the sessions in use', query: macQuery, answer };
  rim.route('get', '/api/v3/lora/mac', about, ({ query }) => macPage(ports, query));
  const home = { summary: 'MAC layers as another edge left them', body: coming, answer: taken };
  rim.route('post', '/api/v3/lora/mac', home, ({ body: { sessions, ...from } }) =>
    ports.macHome.take(from, sessions),
  );
}
