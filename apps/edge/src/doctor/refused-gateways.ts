import { warning, type Finding } from './finding.ts';

/** Why datagrams of packet forwarders were not taken, where the configuration is the reason. */
const ADVICE: Readonly<Record<string, string>> = {
  sourceNetwork:
    'from networks that are not in gatewayBridge.udp.sourceNetworks: add the gateway’s, such as 192.168.1.0/24',
  unknownGateway:
    'of gateways that are not in gatewayBridge.udp.gateways: add the EUI that the log tells (gatewayId)',
};

/** @param metrics of the gateway-bridge, as Prometheus reads them */
export function judgeRefused(metrics: string): Finding[] {
  return Object.entries(ADVICE).flatMap(([reason, advice]) => {
    const [, count] =
      new RegExp(`^antirio_gateway_ignored_total\\{reason="${reason}"\\} (\\d+)`, 'm').exec(metrics) ?? [];
    return Number(count ?? 0) === 0
      ? []
      : [warning('radio', `${count ?? ''} datagrams were refused since the start, ${advice}`)];
  });
}
