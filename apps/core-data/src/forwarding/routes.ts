import { z } from 'zod';
import { parseInput, type HttpRim } from '@antirio/host';
import type { Forwarding } from './forwarding.ts';
import { forwardingLogin, forwardingRule, ruleName } from './rules.ts';

const params = z.object({ id: ruleName });
const body = z.object({ rule: z.unknown(), login: forwardingLogin.optional() });

/** Where stored events are forwarded to. Logins go in and never come out. */
export function addForwardingRoutes(rim: HttpRim, forwarding: Forwarding): void {
  const path = '/api/v3/forwarding';
  rim.route('get', path, { summary: 'all rules of forwarding, and how far they have come' }, () => ({
    forwarding: forwarding.all(),
  }));
  const one = { summary: 'a rule of forwarding, and how far it has come', params };
  rim.route('get', `${path}/:id`, one, ({ params: { id } }) => forwarding.get(id));
  const put = { summary: 'forwards stored events from now on', params, body };
  rim.route('put', `${path}/:id`, put, async ({ params: { id }, body: { rule, login } }) => {
    await forwarding.put(id, parseInput(forwardingRule, rule), login);
    return forwarding.get(id);
  });
  const end = { summary: 'ends with what has arrived so far', params };
  rim.route('post', `${path}/:id/end`, end, ({ params: { id } }) => {
    forwarding.end(id);
    return forwarding.get(id);
  });
  const remove = { summary: 'forwards nothing more', params, status: 204 };
  rim.route('delete', `${path}/:id`, remove, ({ params: { id } }) => forwarding.remove(id));
}
