export { createGatewayBridge, type GatewayBridge, type GatewayBridgePorts } from './gateway-bridge.ts';
export {
  gatewayBridgeOptions,
  type GatewayBridgeOptions,
  type GatewayBridgeOptionsInput,
} from './options.ts';
export { openRings, type Rings } from './ring/rings.ts';
