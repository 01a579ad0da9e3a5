import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

type Der = Buffer;

function der(tag: number, ...parts: readonly Uint8Array[]): Der {
  const body = Buffer.concat(parts);
  const { length } = body;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), body]);
  const head = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), body]);
}

const sequence = (...parts: readonly Uint8Array[]): Der => der(0x30, ...parts);
const oid = (hex: string): Der => der(0x06, Buffer.from(hex, 'hex'));
const octets = (body: Der): Der => der(0x04, body);
const utcTime = (ms: number): Der => {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\..*$/g, '');
  return der(0x17, Buffer.from(`${digits.slice(2)}Z`));
};

const ECDSA_SHA256 = '2a8648ce3d040302';
const COMMON_NAME = '550403';
const SUBJECT_ALT_NAME = '551d11';
const BASIC_CONSTRAINTS = '551d13';
const DAY_MS = 86_400_000;

const nameOf = (text: string): Der =>
  sequence(der(0x31, sequence(oid(COMMON_NAME), der(0x0c, Buffer.from(text)))));

const altName = (host: string): Der =>
  isIP(host) === 4 ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host));

/** In PEM. */
interface Certified {
  readonly cert: string;
  readonly key: string;
}

interface Subject {
  readonly name: Der;
  readonly publicKey: KeyObject;
}

interface Issuer {
  readonly name: Der;
  readonly privateKey: KeyObject;
}

const makeKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A certificate of version 3 (RFC 5280) for 30 days. */
function certificate(subject: Subject, issuer: Issuer, extensions: readonly Der[]): string {
  const algorithm = sequence(oid(ECDSA_SHA256));
  const now = Date.now();
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    issuer.name,
    sequence(utcTime(now - DAY_MS), utcTime(now + 30 * DAY_MS)),
    subject.name,
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', tbs, issuer.privateKey);
  const whole = sequence(tbs, algorithm, der(0x03, Buffer.of(0), signature));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const extension = (id: string, body: Der): Der => sequence(oid(id), octets(body));
const authority = extension(BASIC_CONSTRAINTS, sequence(der(0x01, Buffer.of(0xff))));
const altNames = (hosts: readonly string[]): Der =>
  extension(SUBJECT_ALT_NAME, sequence(...hosts.map(altName)));
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** A certificate and its key, signed by itself, good for these names and IPv4 addresses. */
export function selfSigned(hosts: readonly [string, ...string[]]): Certified {
  const { privateKey, publicKey } = makeKeys();
  const name = nameOf(hosts[0]);
  const cert = certificate({ name, publicKey }, { name, privateKey }, [authority, altNames(hosts)]);
  return { cert, key: pem(privateKey) };
}

/** One that signs others' certificates, for names and IPv4 addresses; its own key is nowhere but in this process. */
export interface Authority {
  readonly cert: string;
  issue(hosts: readonly [string, ...string[]]): Certified;
}

export function createAuthority(commonName: string): Authority {
  const own = makeKeys();
  const issuer: Issuer = { name: nameOf(commonName), privateKey: own.privateKey };
  return {
    cert: certificate({ name: issuer.name, publicKey: own.publicKey }, issuer, [authority]),
    issue(hosts) {
      const { privateKey, publicKey } = makeKeys();
      const subject: Subject = { name: nameOf(hosts[0]), publicKey };
      const cert = certificate(subject, issuer, [extension(BASIC_CONSTRAINTS, sequence()), altNames(hosts)]);
      return { cert, key: pem(privateKey) };
    },
  };
}
