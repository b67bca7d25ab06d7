"""Science modules: Arrow in, Arrow out; they never write."""
