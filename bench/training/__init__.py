"""What every training shares: the loop, batches, views and pixels on their way to the device."""
