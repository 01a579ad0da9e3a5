import type { RemoteInfo } from 'node:dgram';
import { BlockList, isIP } from 'node:net';

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;

/** An IPv4 address in the form that it has on an IPv6 socket becomes itself. */
export function plainHost(address: string): string {
  return MAPPED.exec(address)?.[1] ?? address;
}

/** Whether a datagram comes from one of these networks (CIDR). */
export function createNetworks(cidrs: readonly string[]): (from: RemoteInfo) => boolean {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return ({ address, family }) => {
    const host = plainHost(address);
    return list.check(host, family === 'IPv6' && host === address ? 'ipv6' : 'ipv4');
  };
}
