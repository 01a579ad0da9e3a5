import { lookup as resolve } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { AntirioError } from '@antirio/kernel';

/** IANA's special-purpose address registries (RFC 6890 and later): what is not a public host of its own. */
const NOT_PUBLIC: readonly (readonly [net: string, bits: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
  ['::', 96],
  // ways to addresses of IPv4; those that are mapped (::ffff:0:0/96) are looked up as what they are
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
];
const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
const notPublic = new BlockList();
for (const [net, bits] of NOT_PUBLIC) notPublic.addSubnet(net, bits, familyOf(net));

/** Whether an address is of a public host that is not this one. */
export function isForeign(address: string): boolean {
  if (isIP(address) === 0 || notPublic.check(address, familyOf(address))) return false;
  const own = Object.values(networkInterfaces()).flatMap((found = []) => found.map((one) => one.address));
  return !own.includes(address);
}

const NOT_ALLOWED = 'notAllowed';
export const isNotAllowed = (error: unknown): boolean =>
  error instanceof AntirioError && error.details[NOT_ALLOWED] === true;

function notAllowed(host: string, address: string): AntirioError {
  const where = host === address ? host : `${host} (${address})`;
  const why =
    'it is this host or in a network that is not public, and coreData.forwardingHosts does not name it';
  const details = { [NOT_ALLOWED]: true, host, address };
  return new AntirioError('unavailable', `no readings are forwarded to ${where}: ${why}`, details);
}

/** The names' addresses, one of which is taken: so all have to be foreign, at each connection. */
const resolveForeign: LookupFunction = (host, options, callback) => {
  resolve(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) {
      callback(error, '', 0);
      return;
    }
    const [first] = addresses;
    const wrong = addresses.find(({ address }) => !isForeign(address));
    if (wrong !== undefined) callback(notAllowed(host, wrong.address), '', 0);
    else if (options.all === true) callback(null, addresses);
    else callback(null, first?.address ?? '', first?.family);
  });
};

const PORTS: Readonly<Record<string, string>> = {
  'http:': '80',
  'https:': '443',
  'mqtt:': '1883',
  'mqtts:': '8883',
};

/**
 * What resolves the host of a URL that a stranger has chosen: whoever signs a contract says where its readings go, and local rooms trust
 * what comes from this host. `hosts` are those that may be anywhere, each as `host` or `host:port`; undefined where the URL is our own.
 * @throws AntirioError unavailable where the URL itself has an address that is not foreign
 */
export function resolverFor(url: string, hosts: readonly string[] | undefined): LookupFunction | undefined {
  const { protocol, hostname, port } = new URL(url);
  const named = `${hostname}:${port === '' ? PORTS[protocol] : port}`;
  if (hosts === undefined || hosts.includes(hostname) || hosts.includes(named)) return undefined;
  const host = hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isForeign(host)) throw notAllowed(host, host);
  return resolveForeign;
}
