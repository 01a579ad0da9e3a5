import { CAR_TYPE, RAW_TYPE } from './gateway-ask.ts';

const MISSING = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e';
const CBOR = 'bafyreihdb57fdysx5h35urvxz64ros7zvywshber7id6t6c6fek37jgyfe';
const INLINE = 'bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa';

/** What is compared of an answer. */
export interface Seen {
  readonly status: number;
  readonly type?: string;
  readonly disposition?: string;
  readonly etag?: string;
  readonly cache?: string;
  readonly ranges?: string;
  readonly range?: string;
  readonly length?: string;
  readonly location?: string;
  readonly path?: string;
  readonly roots?: string;
  readonly sniffing?: string;
  readonly body?: string;
  /** Of a CAR, in its order. */
  readonly blocks?: readonly string[];
}

type Headers = Readonly<Record<string, string>>;
export interface Asked {
  readonly method?: string;
  /** With names of CIDs in braces. */
  readonly path: string;
  readonly headers?: Headers;
}

/** What Kubo answers otherwise; `more`: it sends these blocks and others. */
export type Otherwise = { readonly [Field in keyof Seen]?: Seen[Field] | 'more' };

const raw = (name = 'short', headers: Headers = {}): Asked => ({
  path: `/ipfs/{${name}}?format=raw`,
  headers,
});
const car = (query = '', name = 'sub', headers: Headers = {}): Asked => ({
  path: `/ipfs/{${name}}?format=car${query === '' ? '' : `&${query}`}`,
  headers,
});
const accepting = (accept: string, query = ''): Asked => ({
  path: `/ipfs/{sub}${query}`,
  headers: { accept },
});
const range = (bytes: string): Asked => raw('short', { range: bytes });
const known = (tag: string): Asked => raw('short', { 'if-none-match': tag });
const bytes = (range: string): Asked => car(`entity-bytes=${range}`, 'long');

const METHODS = ['GET', 'HEAD'].flatMap((method): [Asked, Otherwise?][] => [
  [{ ...raw('sub'), method }],
  [{ ...raw('short'), method }],
  [{ ...raw('v0'), method }],
  [{ path: '/ipfs/{short}', headers: { accept: RAW_TYPE }, method }],
  [{ ...car('', 'root'), method }],
  [{ ...car('', 'v0'), method }],
  [{ path: '/ipfs/{root}', headers: { accept: CAR_TYPE }, method }],
  [{ path: '/ipfs/bafkqaaa?format=raw', method }],
  [{ path: '/ipfs/bafkqaaa?format=car', method }],
  [{ path: `/ipfs/${MISSING}?format=raw`, method }],
  [{ path: `/ipfs/${MISSING}?format=car`, method }, { status: 200 }],
  [{ path: `/ipfs/${MISSING}?format=raw`, headers: { 'cache-control': 'only-if-cached' }, method }],
  [{ path: `/ipfs/${MISSING}?format=car`, headers: { 'cache-control': 'only-if-cached' }, method }],
  [{ path: '/ipfs/{root}', method }, { status: 406 }],
]);

const RANGES: [Asked, Otherwise?][] = [
  ...['bytes=0-0', 'bytes=5-', 'bytes=-4', 'bytes=20-500'].map((each): [Asked, Otherwise] => [
    range(each),
    { etag: '"{short}.raw"' },
  ]),
  [range('bytes=31-')],
  [range('bytes=500-600')],
  [range('bytes=-0'), { status: 206 }],
  [range('bytes=5-2'), { status: 400 }],
  [range('lines=1-2'), { status: 400 }],
  [range('bytes=-500'), { status: 400 }],
  [range('bytes=0-1,4-5'), { status: 206 }],
  [{ ...range('bytes=2-5'), method: 'HEAD' }, { status: 206 }],
  [raw('short', { range: 'bytes=0-1', 'if-range': '"other"' })],
  [raw('short', { range: 'bytes=0-1', 'if-range': '"{short}.raw"' }), { etag: '"{short}.raw"' }],
  [car('', 'root', { range: 'bytes=0-10' })],
];

const CONDITIONS: [Asked, Otherwise?][] = [
  [known('"{short}.raw"')],
  [known('W/"{short}.raw"')],
  [known('"x", "{short}.raw"')],
  [known('*')],
  [known('"x"')],
  [known('"{short}"')],
  [car('', 'root', { 'if-none-match': '*' })],
  [
    { path: `/ipfs/${MISSING}?format=raw`, headers: { 'if-none-match': `"${MISSING}.raw"` } },
    { status: 304 },
  ],
];

const NAMED = (name: string): Otherwise => ({ disposition: `attachment; filename="{root}_${name}.car"` });
const SCOPES = ['block', 'entity', 'all', 'some'].flatMap((scope): [Asked, Otherwise?][] => {
  const below = (path: string): Asked => ({ path: `/ipfs/{root}/${path}?format=car&dag-scope=${scope}` });
  const named = (name: string): Otherwise => (scope === 'some' ? {} : NAMED(name));
  return [
    [car(`dag-scope=${scope}`, 'root')],
    [car(`dag-scope=${scope}`, 'sharded')],
    [below('sub'), named('sub')],
    [below('sub/long.txt'), named('long.txt')],
    [below('sub/short.txt'), named('short.txt')],
  ];
});

const ENTITY_BYTES: [Asked, Otherwise?][] = [
  ...['0:*', '-9999:*', '0:1025'].map((each): [Asked] => [bytes(each)]),
  ...['0:0', '512:*', '512:1023', '512:-256', '-5:*', '-9999:-3', '1025:1025', '600:-600'].map(
    (each): [Asked, Otherwise] => [bytes(each), { blocks: 'more' }],
  ),
  ...['1026:*', '2000:3000', '-9999:-8000'].map((each): [Asked, Otherwise] => [bytes(each), { status: 200 }]),
  ...['10:5', '1', 'a:b', '', '0:', ':5', '0:99999999999999999999'].map((each): [Asked] => [bytes(each)]),
  [car('dag-scope=all&entity-bytes=0:0', 'long'), { blocks: 'more' }],
  [car('dag-scope=entity&entity-bytes=0:*', 'sharded')],
  [car('entity-bytes=5:6', 'root'), { blocks: 'more' }],
  [car('entity-bytes=5:6', 'short')],
];

const NEGOTIATED: [Asked, Otherwise?][] = [
  ...[
    '',
    ';version=1',
    ';order=dfs;dups=y',
    ';order=dfs; dups=n',
    '; VERSION=1',
    '; version="1"',
    ';foo=bar',
  ].map((each): [Asked] => [accepting(CAR_TYPE + each)]),
  [accepting(`${CAR_TYPE};version=2`), { status: 400 }],
  [accepting(`${CAR_TYPE};order=bfs`), { status: 400 }],
  [accepting(`${CAR_TYPE};dups=maybe`), { status: 400 }],
  [accepting(`${CAR_TYPE};order=unk`), { type: `${CAR_TYPE}; version=1; order=unk; dups=n` }],
  [accepting(`${CAR_TYPE};order=bfs, ${CAR_TYPE};dups=y;q=0.5`), { status: 400 }],
  [accepting(CAR_TYPE.toUpperCase()), { status: 406 }],
  [accepting(`text/html, ${CAR_TYPE}`)],
  [accepting(`*/*, ${RAW_TYPE}`)],
  ...['text/html', 'application/x-tar', 'application/json', 'application/vnd.ipld.dag-json'].map(
    (each): [Asked] => [accepting(each)],
  ),
  ...['*/*', 'application/*', 'application/vnd.ipfs.ipns-record'].map((each): [Asked, Otherwise] => [
    accepting(each),
    { status: 406 },
  ]),
  [accepting(`${CAR_TYPE};dups=y`, '?format=car')],
  [accepting(`${CAR_TYPE};dups=y`, '?car-dups=n')],
  [accepting(CAR_TYPE, '?format=raw'), { location: undefined }],
  [accepting(RAW_TYPE, '?format=car'), { location: undefined }],
  [accepting(RAW_TYPE, '?filename=foobar.bin')],
  ...['car-dups=y', 'car-dups=n', 'car-order=dfs', 'car-version=1', 'car-dups=y&car-order=dfs'].map(
    (each): [Asked] => [car(each)],
  ),
  ...['car-dups=maybe', 'car-order=bfs', 'car-version=2'].map((each): [Asked, Otherwise] => [
    car(each),
    { status: 400 },
  ]),
  [car('car-order=unk'), { type: `${CAR_TYPE}; version=1; order=unk; dups=n` }],
  ...['tar', 'json', 'cbor', 'dag-json', 'nonsense'].map((each): [Asked] => [
    { path: `/ipfs/{sub}?format=${each}` },
  ]),
  [{ path: '/ipfs/{sub}?format=ipns-record' }, { status: 406 }],
];

const PATHS: [Asked, Otherwise?][] = [
  [{ path: '/ipfs/{root}/sub/none?format=car' }, { status: 200 }],
  [{ path: '/ipfs/{root}/sub/short.txt/below?format=car' }, { status: 200 }],
  [{ path: '/ipfs/{root}/sub?format=raw' }, { status: 406 }],
  [{ path: '/ipfs/{root}/sub/?format=car' }, NAMED('sub')],
  [{ path: '/ipfs/{root}/?format=raw' }],
  [{ path: '/ipfs/{root}//sub?format=car' }, { status: 307 }],
  [{ path: '/ipfs/{root}/sub%2Fshort.txt?format=car' }, { status: 200 }],
  [{ path: '/ipfs/{root}/sub/%zz?format=car' }],
  [{ path: '/ipfs/hello?format=raw' }],
  [{ path: `/ipfs/${CBOR}?format=raw` }],
  [{ path: `/ipfs/${INLINE}?format=raw` }],
  [{ path: `/ipfs/${INLINE}`, headers: { accept: `${CAR_TYPE}; dups=y` } }],
  [raw('sub', { 'service-worker': 'script' })],
  ...['POST', 'PUT', 'DELETE'].map((method): [Asked] => [{ ...raw('sub'), method }]),
  [{ ...raw('sub'), method: 'OPTIONS' }, { status: 200 }],
];

/** Requests, and what Kubo answers otherwise than we do. */
export const gatewayAsks: Readonly<Record<string, readonly [Asked, Otherwise?][]>> = {
  formats: METHODS,
  ranges: RANGES,
  conditions: CONDITIONS,
  scopes: SCOPES,
  'entity-bytes': ENTITY_BYTES,
  negotiation: NEGOTIATED,
  'paths and methods': PATHS,
};
