/**
 * Everything that other edges may ask of this one. What is not in this table does not exist for them.
 *
 * `anyone`: every edge that proves its identity. `known`: neighbours, edges in the address book, edges registered on the ledger (at
 * the centre: vetted or registered ones). `party`: customer, provider or central of the contract that the path names, or customer or
 * provider of the match.
 */
export type Audience = 'anyone' | 'known' | 'party';

export interface OpenRoute {
  readonly method: 'GET' | 'POST' | 'HEAD';
  /** The room, as its first path segment. */
  readonly service: string;
  /** Segments behind the room; `:id` is a contract or match, `:any` one segment, `**` one or more. */
  readonly path: string;
  readonly audience: Audience;
  /** Whether only the centre offers it, or only the other edges; both where it is left out. */
  readonly role?: 'edge' | 'central';
  /** CARs go as streams: their blocks prove themselves, so that only the head of the answer is signed, and no size is too large. */
  readonly streamsCars?: true;
  /** Answers of any size, in pieces that are signed one by one. */
  readonly streamsSigned?: true;
  /** The centre carries it where the way between the contract's two edges is cut: it must do no harm to be carried out twice. */
  readonly relayed?: true;
  /** How long the room may think (default 10 s). */
  readonly timeoutMs?: number;
}

const get = (
  service: string,
  path: string,
  audience: Audience,
  more: Partial<OpenRoute> = {},
): OpenRoute => ({
  method: 'GET',
  service,
  path,
  audience,
  ...more,
});
const post = (
  service: string,
  path: string,
  audience: Audience,
  more: Partial<OpenRoute> = {},
): OpenRoute => ({
  ...get(service, path, audience, more),
  method: 'POST',
});

const RELAYED = { relayed: true } as const;
const AT_CENTRE = { role: 'central' } as const;
/** Longest `waitMs` of the ledger's events, and some. */
const LONG_POLL_MS = 35_000;

export const OPEN_ROUTES: readonly OpenRoute[] = [
  get('edge2edge', 'api/v3/ping', 'anyone'),
  get('edge2edge', 'api/v3/version', 'anyone'),
  // From one party of a live contract to the other: the room looks at the ledger.
  post('edge2edge', 'api/v3/relay', 'known', AT_CENTRE),

  get('gateway-bridge', 'api/v3/ring/:id', 'party', RELAYED),
  get('gateway-bridge', 'api/v3/ring/:id/offers', 'party', RELAYED),
  get('gateway-bridge', 'api/v3/ring/:id/frames', 'party', RELAYED),
  post('gateway-bridge', 'api/v3/ring/:id/frames', 'party', RELAYED),
  get('gateway-bridge', 'api/v3/ring/:id/stream', 'party', { streamsSigned: true }),
  get('gateway-bridge', 'api/v3/ring/:id/root', 'party', RELAYED),
  post('gateway-bridge', 'api/v3/ring/:id/acknowledge', 'party', RELAYED),
  post('gateway-bridge', 'api/v3/ring/:id/marks', 'party'),

  get('filecoin-interface', 'ipfs/**', 'known', { timeoutMs: 30_000, streamsCars: true }),
  { method: 'HEAD', service: 'filecoin-interface', path: 'ipfs/**', audience: 'known', timeoutMs: 30_000 },

  post('orchestrator', 'orchestrator/service_provider/contract', 'known'),
  // Its own ones: the room looks at who asks. Contracts of the thesis's tables may be none that an arbitrator knows.
  get('orchestrator', 'orchestrator/service_provider/contract/:any', 'known'),
  get('orchestrator', 'orchestrator/v1/guest/:id/event/:any', 'party'),
  post('orchestrator', 'orchestrator/v1/guest/:id/home', 'party'),
  get('orchestrator', 'orchestrator/v1/guest/:id/snapshot', 'party'),
  post('orchestrator', 'orchestrator/v1/guest/:id/snapshot', 'party'),

  post('dmu', 'dmu/v1/negotiation/:id', 'party'),
  get('dmu', 'dmu/v1/negotiation/:id', 'party'),
  post('dmu', 'dmu/v1/trial/:id', 'party'),
  get('dmu', 'dmu/v1/trial/:id', 'party'),

  get('arbitrator', 'arbitrator/v1/contract/:id', 'party', { role: 'edge' }),
  // The contract does not exist here before it is signed: the arbitrator looks at the terms.
  post('arbitrator', 'arbitrator/v1/contract/:any/sign', 'known', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/keys', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/addresses', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/mac', 'party', { role: 'edge' }),
  get('arbitrator', 'arbitrator/v1/contract/:id/mac', 'party', { role: 'edge' }),
  // Frames of their sessions are not read without them, by whichever way these come.
  get('arbitrator', 'arbitrator/v1/contract/:id/joins', 'party', { role: 'edge', ...RELAYED }),
  // The same once more is the same counter, and the same downlink.
  post('arbitrator', 'arbitrator/v1/contract/:id/downlink/counter', 'party', { role: 'edge', ...RELAYED }),
  post('arbitrator', 'arbitrator/v1/contract/:id/downlink', 'party', { role: 'edge', ...RELAYED }),
  get('arbitrator', 'arbitrator/v1/contract/:id/downlink', 'party', { role: 'edge', ...RELAYED }),
  // Who speaks for a customer is no party: the arbitrator looks on the ledger.
  post('arbitrator', 'arbitrator/v1/speaker/:any/downlink/counter', 'known', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/speaker/:any/downlink', 'known', { role: 'edge' }),
  get('arbitrator', 'arbitrator/v1/speaker/:any/downlink', 'known', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/genuine', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/drill', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/drill-keys', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/lent/offer', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/lent/send', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/lent/result', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/coverage', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/root', 'party', { role: 'edge' }),
  get('arbitrator', 'arbitrator/v1/contract/:id/root', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/return', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/take-over', 'party', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/contract/:id/statement', 'party', { role: 'edge' }),
  // Holders are no parties: the arbitrator looks at the terms on the ledger.
  post('arbitrator', 'arbitrator/v1/escrow/:any/share', 'known'),
  post('arbitrator', 'arbitrator/v1/escrow/:any/release', 'known'),
  post('arbitrator', 'arbitrator/v1/escrow/:any/drill-share', 'known'),
  post('arbitrator', 'arbitrator/v1/escrow/:any/drill-release', 'known'),
  // To a customer's own: the arbitrator looks whether it speaks for who tells it.
  post('arbitrator', 'arbitrator/v1/speaker/report', 'known', { role: 'edge' }),
  post('arbitrator', 'arbitrator/v1/central/:any', 'known', AT_CENTRE),
  get('arbitrator', 'arbitrator/v1/central/set/:any', 'known', AT_CENTRE),
  get('arbitrator', 'arbitrator/v1/central/record/:any', 'known', AT_CENTRE),

  post('ledger', 'ledger/v1/tx', 'known', AT_CENTRE),
  get('ledger', 'ledger/v1/state/**', 'known', AT_CENTRE),
  get('ledger', 'ledger/v1/range', 'known', AT_CENTRE),
  get('ledger', 'ledger/v1/head', 'known', AT_CENTRE),
  get('ledger', 'ledger/v1/block/:any', 'known', AT_CENTRE),
  get('ledger', 'ledger/v1/events', 'known', { ...AT_CENTRE, timeoutMs: LONG_POLL_MS }),

  get('marketplace', 'marketplace/v1/order', 'known'),
  get('marketplace', 'marketplace/v1/match', 'known'),
];

export interface MatchedRoute {
  readonly route: OpenRoute;
  /** The contract or match that the path names. */
  readonly id?: string;
}

const SEGMENT = /^[A-Za-z0-9._~-]{1,128}$/;
const ANY_SEGMENT = /^(?:[A-Za-z0-9._~:@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){1,512}$/;

/** Whether it is an ordinary segment: no empty one, no `.` or `..`, no encoded slash that a room could decode to one. */
function isPlain(segment: string): boolean {
  return ANY_SEGMENT.test(segment) && !/^(?:\.|%2e){1,2}$/i.test(segment) && !/%(?:2f|5c|00)/i.test(segment);
}

/** The id in the path, '' where the pattern has none; undefined when they do not match. */
function match(pattern: readonly string[], path: readonly string[]): string | undefined {
  let id = '';
  for (const [i, expected] of pattern.entries()) {
    const segment = path[i];
    if (segment === undefined) return undefined;
    if (expected === '**') return id;
    if (expected === ':id') {
      if (!SEGMENT.test(segment)) return undefined;
      id = segment;
    } else if (expected !== ':any' && expected !== segment) return undefined;
  }
  return path.length === pattern.length ? id : undefined;
}

/** The route that a request of another edge is meant for; `path` is what stands behind the room's name, without query. */
export function findOpenRoute(
  role: 'edge' | 'central',
  method: string,
  service: string,
  path: string,
): MatchedRoute | undefined {
  const segments = path.split('/');
  if (!segments.every(isPlain)) return undefined;
  for (const route of OPEN_ROUTES) {
    if (route.method !== method || route.service !== service) continue;
    if (route.role !== undefined && route.role !== role) continue;
    const id = match(route.path.split('/'), segments);
    if (id !== undefined) return id === '' ? { route } : { route, id };
  }
  return undefined;
}

/** How an answer that goes as a stream is proven: by itself, or by a signature for each of its pieces. */
export type Streaming = 'self' | 'signed';

/** Undefined where the answer goes as a whole. */
export function streamingOf({ streamsCars, streamsSigned }: OpenRoute, path: string): Streaming | undefined {
  if (streamsSigned === true) return 'signed';
  return streamsCars === true && /[?&]format=car(?:&|$)/.test(path) ? 'self' : undefined;
}

/** A room's name as the key of its peer: `gateway-bridge` is `gatewayBridge`. */
export function peerKey(service: string): string {
  return service.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
