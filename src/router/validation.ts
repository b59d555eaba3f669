/** zod as the router uses it. Workers forbid code made from strings, which zod would use for speed. */
import { z } from 'zod';

z.config({ jitless: true });

export { z };
