/** Cannot be loaded. */
throw new Error('not a test');
