int leaf_value(void);

int leaf_value(void)
{
    return 41;
}
