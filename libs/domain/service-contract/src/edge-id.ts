import { z } from 'zod';
import { parseEdgeId, type EdgeId } from '@antirio/kernel';

export const edgeId = z.string().transform((text, context): EdgeId => {
  try {
    return parseEdgeId(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'not an edge id (PeerId of an Ed25519 key)' });
    return z.NEVER;
  }
});
