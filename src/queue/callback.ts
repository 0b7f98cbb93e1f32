/** How a child ended, as its parent is told: a stopped or orphaned one counts as failed. */
export const CALLBACK_STATUSES = ['completed', 'failed'] as const
