/** Whether nothing that a provider's service wrote is to go home any more: it has, or no epoch followed. */
export const leavesNothing = ({ at }: { readonly at: string }): boolean => at === 'ready' || at === 'stated';
