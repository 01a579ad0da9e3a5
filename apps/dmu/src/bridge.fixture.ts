// Stands in for the gateway bridge of an edge in the neighbourhood that the DMU's tests run in.
import { z } from 'zod';
import { createHttpRim, silentLog, systemClock, type HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';

export const DEVICES = ['01', '02', '03', '04'].map((n) => ({
  devEui: `00000000000000${n}`,
  devAddr: `000000${n}`,
}));

interface Frame {
  readonly seq: number;
  readonly devAddr: string;
  readonly fcnt: number;
  readonly mic: string;
  readonly receivedAt: number;
}

/** A service without anything yet. */
export function rim(serviceKey: string): HttpRim {
  const common = { version: '0', config: () => ({}), health: () => ({}), log: silentLog, clock: systemClock };
  return createHttpRim({ serviceKey, ...common });
}

/** Rings in memory, with just the resources that a DMU uses. */
export class Bridge {
  readonly rings = new Map<string, { readonly devAddrs: ReadonlySet<string>; readonly frames: Frame[] }>();
  readonly rim = rim('gateway-bridge');

  constructor() {
    this.rings.set('own', { devAddrs: new Set(DEVICES.map(({ devAddr }) => devAddr)), frames: [] });
    const params = z.object({ id: z.string() });
    const found = (id: string) => {
      const ring = this.rings.get(id);
      if (ring === undefined) throw new AntirioError('notFound', 'no ring');
      return ring;
    };
    this.rim.route('get', '/api/v3/ring/:id', { summary: '', params }, ({ params: { id } }) => ({
      last: found(id).frames.length,
    }));
    const page = z.object({ after: z.coerce.number(), limit: z.coerce.number() });
    this.rim.route(
      'get',
      '/api/v3/ring/:id/offers',
      { summary: '', params, query: page },
      ({ params: { id }, query }) => {
        const offers = found(id).frames.slice(query.after, query.after + query.limit);
        return { offers, next: offers.at(-1)?.seq ?? query.after };
      },
    );
    const body = z.looseObject({ devAddrs: z.array(z.string()) });
    this.rim.route(
      'put',
      '/api/v3/ring/:id',
      { summary: '', params, body },
      ({ params: { id }, body: { devAddrs } }) => {
        if (!this.rings.has(id)) this.rings.set(id, { devAddrs: new Set(devAddrs), frames: [] });
        return {};
      },
    );
    this.rim.route('delete', '/api/v3/ring/:id', { summary: '', params }, ({ params: { id } }) => {
      found(id);
      this.rings.delete(id);
      return {};
    });
  }

  hear(frame: Omit<Frame, 'seq'>): void {
    for (const { devAddrs, frames } of this.rings.values())
      if (devAddrs.has(frame.devAddr)) frames.push({ ...frame, seq: frames.length + 1 });
  }
}
